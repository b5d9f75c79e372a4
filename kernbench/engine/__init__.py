"""Studies: from a TOML file to finished cells in a database."""
