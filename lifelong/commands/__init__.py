"""The commands of the command line, a file for each; light to import, as `lifelong.cli` is."""
