"""What a database refuses, in one line with what to do."""

import optuna
from sqlalchemy.exc import SQLAlchemyError

from kernbench.errors import StorageError, StorageLostError
from kernbench.store.database.outage import driver_error, is_outage, reason_of
from kernbench.store.database.url import shown_url

REFUSALS = (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError, ImportError, OSError)
RIGHTS = "the user of the URL needs rights to all tables and their schema (GRANT), or give another --storage"
_NO_RIGHT, _READ_ONLY = "42501", "25006"  # SQLSTATE
_ADVICE = {
    _NO_RIGHT: RIGHTS,
    _READ_ONLY: "kernbench needs a server and a user that may write, or give another --storage",
}


def lacks_rights(error: BaseException | None) -> bool:
    """Whether a server has refused something to this user."""
    return _state(error) == _NO_RIGHT


def cannot_open(url: str, error: BaseException) -> StorageError:
    """The error of a database that cannot be opened."""
    cannot = f"storage {shown_url(url)} cannot be opened"
    if isinstance(error, ImportError):
        return StorageError(f"{cannot}: {error}; install the driver: pip install 'kernbench[postgres]'")
    return StorageError(f"{cannot}: {reason_of(error)}{_advice(error)}")


def failed_in_use(url: str, error: BaseException) -> StorageError:
    """The error of a database that failed while it was used: gone, or it refuses something and will do so again."""
    stored = "what is finished is stored"
    if is_outage(error) or not _state(error):
        return StorageLostError(
            f"storage {shown_url(url)} became unavailable: {reason_of(error)}{_advice(error)}; {stored}, "
            "the same command goes on from there"
        )
    return StorageError(f"storage {shown_url(url)} refused a statement: {reason_of(error)}{_advice(error)}; {stored}")


def _state(error: BaseException | None) -> str:
    """SQLSTATE of a server's refusal; empty where there is none: SQLite, a connection that broke."""
    return getattr(driver_error(error), "sqlstate", None) or ""


def _advice(error: BaseException) -> str:
    reason = reason_of(error)
    # SQLite keeps a log beside the file, for reading, too
    if "unable to open database" in reason or "readonly database" in reason:
        return "; file and folder must be writable, also for reading, or copy the database elsewhere"
    advice = _ADVICE.get(_state(error)) or ("see `kernbench doctor`" if is_outage(error) else "")
    return f"; {advice}" if advice else ""
