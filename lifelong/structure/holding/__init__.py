"""Holding a changed network: index maps, masks, frozen entries, and what the optimizer knows of each weight."""
