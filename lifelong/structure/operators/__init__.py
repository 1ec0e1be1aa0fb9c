"""The operators: what may be done to units, synapses and layers."""
