"""Works around faults of avalanche-lib 0.6.0. Each class and function says what breaks, and what it does instead.

Nothing of Avalanche is patched at import: a strategy uses the mended class, or calls the function. Each fault has a
test whose name ends in `_fault`. It fails once Avalanche has mended the fault, and then the workaround can go.
"""
