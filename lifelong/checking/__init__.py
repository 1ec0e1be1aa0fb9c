"""Tries out in seconds what every strategy has to keep to: the command `lifelong check`."""
