"""What is measured: the accuracy matrix, a network's size and plasticity, a trigger's alarms."""
