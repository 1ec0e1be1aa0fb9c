"""Says how new parts of a network start: by a law, as copies, or as a closure on data finds best."""
