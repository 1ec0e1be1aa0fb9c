"""Results as text: for the terminal, Markdown, CSV and JSON."""
