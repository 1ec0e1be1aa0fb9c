"""Tells whether results can be believed: checks them against their board, recomputes them, runs them again."""
