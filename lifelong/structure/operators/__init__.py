"""Holds the operators: what may be done to units, synapses and layers, and what they have in common."""
