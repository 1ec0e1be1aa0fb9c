"""Measures: pure functions of the accuracy matrix, of a network's size and plasticity, and of a trigger's alarms."""
