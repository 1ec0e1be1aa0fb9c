"""Says how new parts of a network start: drawn at random, as copies, or chosen by what they do to some data."""
