"""Reading a network: which of its sizes belong together, and which units may change."""
