"""Faults of avalanche-lib 0.6.0 that the suite works around, each with the fault. Nothing is patched at import.

Each workaround has a test named `..._fault`, which fails once Avalanche has mended it: then the workaround can go.
"""
