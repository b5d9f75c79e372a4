"""A report takes its place: all of its files or none, and none of another report stays beside them."""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kernbench.errors import StorageError
from kernbench.host.files import PART, partial_folder, writer_of
from kernbench.report.page.csv_tables import TABLES
from kernbench.report.page.manifest import FIGURES, MANIFEST, PAGE, Manifest, is_file, read_manifest, write_manifest

HTML = "html"
_DRAWN = re.compile(r".+\.v\d+\.[\w-]+")  # names of figures begin with that of a comparison
_STAGED = "report"
_GENERATOR = b'<meta name="generator" content="kernbench'


@contextmanager
def publishing(folder: Path, form: str, source: str, databases: Sequence[str] = ()) -> Iterator[Path]:
    """An empty folder to write a report to; when the block ends, its files move to their places in `folder`.

    What kernbench wrote there before and does not write again is removed: files of this format, and those of other
    formats unless they were made from the same cells. Files that it did not write are never replaced or removed, and
    links are not followed. If the block fails, everything is as it was.

    Args:
        folder: of the report, made if missing.
        form: format, "html" for the page.
        source: digest of the cells.
        databases: of these cells, from `names_in`.

    Raises:
        StorageError: a file of the report would replace one that kernbench did not write.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone_in(folder) as alone:
        if alone:  # then these are of processes that were killed
            for left in folder.glob(f".{_STAGED}.*.partial"):
                shutil.rmtree(left, ignore_errors=True)
            for part in folder.glob(f"{MANIFEST}.*{PART}"):
                if writer_of(part.name) is not None:
                    part.unlink(missing_ok=True)
        with partial_folder(folder / _STAGED) as new:
            yield new
            _publish(new, folder, form, Manifest(source, tuple(databases), {}))


def _publish(new: Path, folder: Path, form: str, empty: Manifest) -> None:
    names = sorted(path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file())
    old = _known(folder)
    _check_places(folder, names, old)
    mine = dict.fromkeys(names, form)
    kept = {name: kind for name, kind in old.files.items() if kind != form and old.source == empty.source}
    # Without a source no page is current: a kill from here on leaves a report that is made again.
    write_manifest(folder, Manifest("", empty.databases, {**old.files, **mine}))
    for name in sorted(names, key=lambda name: name == PAGE):
        (folder / name).parent.mkdir(exist_ok=True)
        (new / name).replace(folder / name)
    for name in old.files.keys() - mine.keys() - kept.keys():
        _remove(folder, name)
    write_manifest(folder, Manifest(empty.source, empty.databases, {**kept, **mine}))


def _known(folder: Path) -> Manifest:
    """What is kernbench's in a folder: as its manifest says, or else the files of a page of an older kernbench."""
    found = read_manifest(folder)
    if found is not None:
        return found
    page, figures = folder / PAGE, folder / FIGURES
    if not is_file(page) or _GENERATOR not in page.read_bytes()[:4096]:
        return Manifest("", (), {})
    drawn = [] if figures.is_symlink() else [*figures.glob("*.svg"), *figures.glob("*.png")]
    drawn = [path for path in drawn if _DRAWN.match(path.name)]
    made = [path for table in TABLES if is_file(path := folder / f"{table}.csv") and _is_table(path)]
    files = [page, *made, *drawn]
    return Manifest("", (), {path.relative_to(folder).as_posix(): HTML for path in files if is_file(path)})


def _is_table(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(20).startswith((b"comparison,", b"study,", b"database,"))


def _check_places(folder: Path, names: Sequence[str], old: Manifest) -> None:
    """Before anything is moved: whether every file has a place."""
    if os.path.lexists(folder / MANIFEST) and read_manifest(folder) is None:
        raise StorageError(
            f"{folder / MANIFEST} is no list of kernbench's files, or a damaged one; remove it, or give another --out"
        )
    for name in names:
        path = folder / name
        if path.parent != folder and path.parent.is_symlink():
            raise StorageError(f"{path.parent} is a link, and a report follows none; remove it, or give another --out")
        if path.parent != folder and os.path.lexists(path.parent) and not path.parent.is_dir():
            raise StorageError(f"{path.parent} is a file, and the report needs a folder there; give another --out")
        if os.path.lexists(path) and (name not in old.files or (path.is_dir() and not path.is_symlink())):
            raise StorageError(f"{path} is not from kernbench, and the report would replace it; give another --out")


def _remove(folder: Path, name: str) -> None:
    path = folder / name
    if is_file(path) and not (path.parent != folder and path.parent.is_symlink()):
        path.unlink()
    if path.parent != folder and not path.parent.is_symlink():
        with contextlib.suppress(OSError):  # not empty, or gone
            path.parent.rmdir()


@contextmanager
def _alone_in(folder: Path) -> Iterator[bool]:
    """Wait until no other process writes a report to the folder; False where the file system has no such locks."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX)
            alone = True
        except OSError:
            alone = False
        yield alone
    finally:
        os.close(opened)
