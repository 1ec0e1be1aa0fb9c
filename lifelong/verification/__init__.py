"""Whether results can be believed: checked against their board, recomputed, rerun."""
