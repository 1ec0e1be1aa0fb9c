"""What a board asks: its file, its settings, its cells, and the published numbers that it is held against."""
