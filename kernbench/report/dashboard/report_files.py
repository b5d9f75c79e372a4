"""The report of a database under /report/ of its dashboard: files that the report's manifest lists, and no others."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any

from kernbench.report.dashboard.read_only import Application, respond
from kernbench.report.page.manifest import DEFAULT, PAGE, is_file, names_in, read_manifest
from kernbench.store.database.url import sqlite_path

PREFIX = "/report"
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".tex": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_MISSING = "There is no report of this database beside it. Write it with `kernbench report`, then reload this page.\n"
_NO_SUCH_FILE = "The report has no such file.\n"
# The page carries its own policy; a figure that is opened by itself runs nothing and loads nothing.
_POLICY = [("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")]


def report_folder(url: str) -> Path | None:
    """The folder of a report's page that shows this database, or None.

    It is looked for beside a SQLite file and in the working folder, as `kernbench-report` and `kernbench-report-*`; one
    of this database alone comes first.

    Args:
        url: storage URL.
    """
    found = []
    for folder in _candidates(url):
        manifest, own = read_manifest(folder), names_in(folder, [url])
        if manifest is not None and own[0] in manifest.databases and PAGE in manifest.files and is_file(folder / PAGE):
            found.append((manifest.databases != own, folder))
    return min(found, key=lambda each: each[0])[1] if found else None


def report_files(url: str) -> Application:
    """A WSGI application for paths under /report/.

    A path is the name of a file that the manifest lists, in exactly its letters; the page itself is /report/. Links to
    files are not followed.

    Args:
        url: storage URL.
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        rest = environ["PATH_INFO"].removeprefix(PREFIX)
        if not rest:
            moved = [("Location", f"{PREFIX}/")]
            return respond(start_response, HTTPStatus.FOUND, "text/plain", "", moved)
        folder = report_folder(url)
        if folder is None:
            return respond(start_response, HTTPStatus.NOT_FOUND, "text/plain", _MISSING)
        name = rest.removeprefix("/") or PAGE
        content = _content(folder, name)
        if content is None:
            return respond(start_response, HTTPStatus.NOT_FOUND, "text/plain", _NO_SUCH_FILE)
        suffix = PurePosixPath(name).suffix
        policy = [] if name == PAGE else _POLICY
        return respond(start_response, HTTPStatus.OK, _KINDS[suffix], content, policy)

    return answer


def _candidates(url: str) -> Iterator[Path]:
    """Folders that may be a report's, each once."""
    path = sqlite_path(url)
    places = [Path() if path is None else path.parent, Path()]
    named = ([place / DEFAULT, *sorted(place.glob(f"{DEFAULT}-*"))] for place in places)
    seen = set()
    for folder in itertools.chain.from_iterable(named):
        if folder.is_dir() and (real := folder.resolve()) not in seen:
            seen.add(real)
            yield folder


def _content(folder: Path, name: str) -> bytes | None:
    """Bytes of a file that the manifest lists; None for any other, for a link, and for one behind a link."""
    manifest = read_manifest(folder)
    path = folder / name
    if manifest is None or name not in manifest.files or not is_file(path):
        return None
    if path.parent != folder and path.parent.is_symlink():
        return None
    try:
        return path.read_bytes()
    except OSError:
        return None
