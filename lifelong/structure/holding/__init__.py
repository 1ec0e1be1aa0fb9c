"""Holds a changed network together: index maps, masks, frozen entries, and what the optimizer knows of each weight."""
