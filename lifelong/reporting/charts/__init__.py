"""Results as charts: rows, how they are drawn, and figures for papers."""
