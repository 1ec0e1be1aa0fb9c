"""Results as text: for the terminal, markdown, CSV and JSON."""
