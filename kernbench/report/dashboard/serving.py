"""optuna-dashboard on the study database: loopback only, nothing in it can be changed or deleted."""

import importlib.util
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO
from wsgiref.simple_server import WSGIRequestHandler, make_server

from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from kernbench.errors import KernbenchError, StorageError
from kernbench.report.dashboard import additions, report_files
from kernbench.report.dashboard.read_only import Application, read_only
from kernbench.store.database.opening import read_storage
from kernbench.store.database.url import shown_url, side_folder
from kernbench.store.files.artifact_entries import is_plain

HOST = "127.0.0.1"  # the dashboard has no login: it never listens beyond loopback


class ReadOnlyArtifacts(FileSystemArtifactStore):
    """Artifacts that can be shown, not written or removed: "delete study" removes files before it asks the database."""

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """The file, unless it is a link or anything else that leads out of the folder."""
        if not is_plain(self._get_filepath(artifact_id)):
            raise ArtifactNotFound(f"artifact {artifact_id} is no plain file")
        return super().open_reader(artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Refuse."""
        raise PermissionError(f"artifact {artifact_id} was not written: this dashboard is for reading")

    def remove(self, artifact_id: str) -> None:
        """Refuse."""
        raise PermissionError(f"artifact {artifact_id} was not removed: this dashboard is for reading")


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """No line per request."""


def application(url: str, refused: Callable[[str], None]) -> Application:
    """The dashboard as a WSGI application on a database that is opened for reading, with the report under /report/.

    Args:
        url: storage URL.
        refused: called with one line for each request that would change something.

    Raises:
        KernbenchError: optuna-dashboard is not installed.
        StorageError: there is no database, or it holds no study.
    """
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise KernbenchError("optuna-dashboard is not installed; pip install 'kernbench[dashboard]'")
    from optuna_dashboard import wsgi  # noqa: PLC0415  # an extra

    storage = read_storage(url)
    if storage is None:
        raise StorageError(f"storage {shown_url(url)} holds no study yet; run `kernbench run` first")
    artifacts = ReadOnlyArtifacts(str(side_folder(url, "artifacts")))
    added = additions.additions(storage, lambda: report_files.report_folder(url) is not None)
    report = report_files.report_files(url)
    dashboard = additions.with_additions(wsgi(storage, artifact_store=artifacts))

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith(additions.PREFIX):
            return added(environ, start_response)
        if path == report_files.PREFIX or path.startswith(f"{report_files.PREFIX}/"):
            return report(environ, start_response)
        return dashboard(environ, start_response)

    return read_only(answer, refused)


def serve(url: str, port: int, ready: Callable[[str], None], refused: Callable[[str], None]) -> None:
    """Serve the dashboard until interrupted.

    Args:
        url: storage URL.
        port: TCP port on loopback, 0 for a free one.
        ready: called with the address once it listens.
        refused: called with one line for each request that would change something.

    Raises:
        KernbenchError: the port is taken; or see `application`.
    """
    app = application(url, refused)
    try:
        server = make_server(HOST, port, app, handler_class=_QuietHandler)
    except OSError as error:
        raise KernbenchError(f"port {port} cannot be used ({error.strerror}); give another --port") from error
    with server:
        ready(f"http://{HOST}:{server.server_port}/")
        server.serve_forever()
