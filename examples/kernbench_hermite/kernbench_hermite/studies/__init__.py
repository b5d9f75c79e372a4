"""Studies of this distribution."""
