"""The boards of the suite: one TOML file each."""
