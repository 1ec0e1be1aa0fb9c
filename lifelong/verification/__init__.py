"""Tells whether results can be believed: checks them against their board, recomputes and reruns them."""
