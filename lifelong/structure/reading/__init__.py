"""Reads a network: finds which of its sizes belong together, and which units may change.

The way through: `tracing` follows one forward pass, `rules` and `views` say what each operation does with `labels`,
`attention` and `alternatives` treat two kinds of modules as a whole, and `analysis` turns labels into layers (`layer`).
"""
