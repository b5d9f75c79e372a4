"""Bundled studies: one TOML file each."""
