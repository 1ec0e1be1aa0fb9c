"""What every strategy has to keep to, tried out in seconds: `lifelong check`."""
