"""Version 1: the tables of the first databases, which are not made by a migration; none is older."""

from sqlalchemy import Connection

revision = "1"
down_revision = None


def upgrade() -> None:
    """Nothing."""


def fill(connection: Connection) -> None:
    """Nothing."""
