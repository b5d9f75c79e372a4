"""Whether a database server locks between two connections, and lets its user write."""

import secrets

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from kernbench.doctor.finding import Finding
from kernbench.store.database.opening import connect_args
from kernbench.store.database.refusals import RIGHTS
from kernbench.store.database.url import server_name

CHECK = "storage locks"
_ADVICE = "if a pooler stands between, give it pool_mode = transaction or session, or connect to the server itself"


def examined(url: str) -> Finding:
    """A finding about locks and rights on a server that answers."""
    engine = create_engine(url, poolclass=NullPool, connect_args=connect_args(url))
    name = server_name(url)
    try:
        with engine.connect() as first, engine.connect() as second:
            refused = _refused(first)
            excluded = _excluded(first, second)
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        return Finding(CHECK, "fail", f"{name}: {said}", _ADVICE)
    if refused:
        return Finding(CHECK, "fail", f"{name}: {refused}", RIGHTS)
    if not excluded:
        return Finding(CHECK, "fail", f"{name}: two connections had the same lock", _ADVICE)
    return Finding(CHECK, "ok", f"{name}: two connections exclude each other, and tables can be made")


def _refused(connection: Connection) -> str:
    """Why nothing can be written; empty where it can."""
    query = "SELECT current_setting('transaction_read_only'), has_schema_privilege(current_schema(), 'CREATE')"
    only_reading, may_create = connection.execute(text(query)).one()
    if only_reading == "on":
        return "the server is for reading only"
    return "" if may_create else "this user may not make tables"


def _excluded(first: Connection, second: Connection) -> bool:
    """Whether a lock of one transaction keeps another one out, and ends with it."""
    query, key = text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": secrets.randbits(62)}
    held = bool(first.execute(query, key).scalar_one())
    meanwhile = bool(second.execute(query, key).scalar_one())
    first.rollback()
    afterwards = bool(second.execute(query, key).scalar_one())
    second.rollback()
    return held and not meanwhile and afterwards
