"""Look after a database: copy it, check it."""
