"""What a board asks for: its file, its settings, its cells, and the published numbers that it should reach.

Read `board` first (the file), then `settings` (what each cell is run with), `plan` (the cells, and what is done of
them), `targets` (published numbers) and `tuning`.
"""
