"""One run: its set-up, training, evaluation and checkpoint."""
