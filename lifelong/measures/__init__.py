"""The accuracy matrix and what can be read off it: pure functions, no torch."""
