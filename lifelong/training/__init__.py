"""One run: its set-up, its experiences, its evaluation, its checkpoint."""
