"""The web page of a board: one file that needs no network and runs nothing but its own script."""
