"""How cells are run, by `kernbench run` and by `kernbench worker`, and the database that is opened for it."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from kernbench.engine.work.time_limit import Limit
from kernbench.store.database.opening import GRACE_S, HEARTBEAT_S, open_storage, outage_explained
from kernbench.store.database.storage import SteadyStorage
from kernbench.store.maintenance.upgrade import ready_tables
from kernbench.study.selection import ALL, Selection
from kernbench.study.study import Params, Study


@dataclass(frozen=True)
class Terms:
    """How cells are run.

    Attributes:
        url: storage URL.
        device: "cpu" or "cuda:0".
        limit: time of one attempt, None for as long as it takes.
        heartbeat_s: seconds between heartbeats.
        grace_s: seconds until a silent trial counts as lost.
        only: which cells; others are neither queued nor run.
    """

    url: str
    device: str = "cpu"
    limit: Limit | None = None
    heartbeat_s: int = HEARTBEAT_S
    grace_s: int = GRACE_S
    only: Selection = ALL

    def cells_of(self, study: Study) -> dict[str, Params]:
        """Cell id -> parameters of the cells of a study that are meant."""
        return {cell: params for cell, params in study.cells().items() if cell in self.only}


@contextmanager
def opened(terms: Terms, say: Callable[[str], None]) -> Iterator[SteadyStorage]:
    """The database, its tables ready for work; closed in the end.

    Args:
        terms: how cells are run.
        say: called with a line on what the user should know.

    Raises:
        StorageError: it cannot be opened.
        StorageLostError: it became unavailable.
    """
    storage = open_storage(terms.url, terms.heartbeat_s, terms.grace_s)
    with closing(storage), outage_explained(terms.url):
        storage.outages.say = say
        ready_tables(storage.engine, terms.url, say)
        yield storage
