"""Data held as tensors, split into real Avalanche benchmarks, and loaded by the batch."""
