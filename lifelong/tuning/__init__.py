"""Chooses parameters fairly: with the same effort for every strategy, and never on test data. It needs Optuna."""
