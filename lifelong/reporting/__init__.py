"""What people look at: tables, statistics, progress, Weights & Biases. All of it is derived from records."""
