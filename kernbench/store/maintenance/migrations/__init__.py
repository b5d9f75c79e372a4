"""Migrations of the result tables, run by alembic: one file in `versions` for each version, named after it."""
