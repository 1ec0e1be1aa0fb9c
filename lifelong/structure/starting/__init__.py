"""How new parts of a network start."""
