"""Puts the numbers of docs/data/results into the README and the pages of docs.

    python docs/make_results.py [--check] [STORAGE ...]

The folder is what `kernbench storage export --headline` wrote. It is made again from the storages, where any is given:
databases and exported folders, itself among them where its cells are to stay. A page holds places of this form, in a
line or around a table; what stands between the two comments is made again:

    <!-- data: k_sweep.v1.quick f1 siren 65 -->0.810 [0.779, 0.841]<!-- / -->

The words are a study, one of `KINDS` of result_kinds.py, and what it takes. Two studies with a + between them are one
with an axis `study`. `claim` names the verdict that the sentence around it rests on, and refuses data that say another.
`figure` is drawn into docs/img, and keeps the digest of what it shows.
"""

import inspect
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from result_joined import AND, joined
from result_kinds import KINDS, OF_TWO, figure
from result_pictures import IMG, draw, is_current, picture_name

from kernbench.errors import KernbenchError, close_match
from kernbench.report.numbers.comparison import Comparison, comparisons
from kernbench.store.database.url import resolve_source
from kernbench.store.maintenance.exporting import export_tables, once
from kernbench.store.reading.several import distinct, load_several

DOCS = Path(__file__).parent
DATA = DOCS / "data" / "results"
CHECK = "--check"
PLACE = re.compile(r"<!-- data: (?P<words>[^>]+?) -->(?P<shown>.*?)<!-- / -->", re.DOTALL)
OPENING = re.compile(r"<!--\s*data\b")  # however it is written


def filled(page: str, found: dict[str, Comparison]) -> str:
    """The page with every place made again.

    Raises:
        KernbenchError: a study, kind, family or value that is not there, a claim that the data do not make, a place
            that does not end before the next one.
    """
    places = list(PLACE.finditer(page))
    inside = [place["words"] for place in places if OPENING.search(place["shown"])]
    if inside:
        raise KernbenchError(f"<!-- data: {inside[0]} -->: no <!-- / --> before the next place")
    if len(OPENING.findall(page)) > len(places):
        left = OPENING.search(PLACE.sub("", page))
        text = page[:0] if left is None else PLACE.sub("", page)[left.start() : left.start() + 60]
        raise KernbenchError(f"{text!r}: expected <!-- data: WORDS -->...<!-- / -->")
    return PLACE.sub(lambda place: _made(place, found), page)


def check_layout(page: str) -> None:
    """Refuse a number that begins a line: Markdown takes the comment before it for HTML, and ends the paragraph.

    Raises:
        KernbenchError: such a place; tables and pictures, which have lines of their own, are none.
    """
    for place in PLACE.finditer(page):
        before = page[page.rfind("\n", 0, place.start()) + 1 : place.start()]
        if not before.strip() and "\n" not in place["shown"]:
            raise KernbenchError(f"<!-- data: {place['words']} --> begins a line; put it after a word")


def _made(place: re.Match[str], found: dict[str, Comparison]) -> str:
    opening = f"<!-- data: {place['words']} -->"
    said = shlex.split(place["words"])
    if len(said) < 2:
        raise KernbenchError(f"{opening}: expected a study and a kind, one of {', '.join(KINDS)}")
    base, kind, *words = said
    try:
        if kind not in KINDS:
            raise KernbenchError(f"no {kind!r}{close_match(kind, KINDS) or ''}")
        comparison = _named(base, found)
        try:
            inspect.signature(KINDS[kind]).bind(comparison, *words)
        except TypeError as error:
            raise KernbenchError(f"{kind} takes other words ({error}): {KINDS[kind].__doc__}") from None
        others = [_named(words[0], found), *words[1:]] if kind in OF_TWO else words
        return f"{opening}{KINDS[kind](comparison, *others)}<!-- / -->"
    except KernbenchError as error:
        raise KernbenchError(f"{opening}: {error}") from error


def _named(base: str, found: dict[str, Comparison]) -> Comparison:
    """A study, or two of them joined: "k_sweep.v1.quick+param_budget.v1.quick"."""
    names = base.split(AND)
    if len(names) > 2:
        raise KernbenchError(f"{base}: expected one study, or two with a {AND} between them")
    for name in names:
        if name not in found:
            raise KernbenchError(f"no {name!r}{close_match(name, found) or ''}")
    return joined(*(found[name] for name in names)) if len(names) == 2 else found[base]


def studies(folder: Path = DATA) -> dict[str, Comparison]:
    """Studies of the folder by name, version and profile: "k_sweep.v1.quick"."""
    return {each.base: each for each in comparisons(load_several([resolve_source(str(folder))]))}


def pages(docs: Path = DOCS) -> list[Path]:
    """Pages with a place for a number; the README is one of them."""
    candidates = [docs.parent / "README.md", *sorted(docs.glob("*.md"))]
    return [path for path in candidates if path.exists() and OPENING.search(path.read_text(encoding="utf-8"))]


def pictures(page: str, found: dict[str, Comparison], folder: Path, *, check: bool) -> list[str]:
    """Draw the pictures of a page that are not there or show other data; with check only name them.

    Args:
        page: its text, filled.
        found: studies.
        folder: of the pictures.
        check: whether to leave them as they are.

    Returns:
        Their file names.
    """
    stale = []
    for place in PLACE.finditer(page):
        base, kind, *words = shlex.split(place["words"])
        if kind != figure.__name__:
            continue
        comparison = _named(base, found)
        if not is_current(comparison, words[0], folder):
            stale.append(picture_name(comparison, words[0]))
            if not check:
                draw(comparison, words[0], folder)
    return stale


def gather(storages: Sequence[str], folder: Path = DATA) -> None:
    """Make the folder from storages; nothing of it changes if one of them cannot be read.

    Args:
        storages: database URLs and exported folders; of the folder itself, cells stay only if it is one of them.
        folder: to write to.

    Raises:
        KernbenchError: a storage that is not there, no cell, one cell trained twice.
    """
    urls = distinct([resolve_source(storage) for storage in storages])
    export_tables(once(load_several(urls, (), ())), folder)


def main(words: Sequence[str]) -> int:
    """Write the pages; with --check only say which of them do not agree with the data.

    Returns:
        Exit code: 1 if a page or picture does not agree, 2 if a storage cannot be read or a place cannot be filled.
    """
    storages = [word for word in words if word != CHECK]
    check = CHECK in words
    try:
        if any(word.startswith("-") for word in storages) or (check and storages):
            raise KernbenchError(f"expected {CHECK} alone, or storages, got {' '.join(words)}")
        if storages:
            gather(storages)
        found = studies()
    except KernbenchError as error:
        print(error, file=sys.stderr)
        return 2
    return _write(found, check=check)


def _write(found: dict[str, Comparison], *, check: bool) -> int:
    stale, refused = [], []
    for path in pages():
        text = path.read_text(encoding="utf-8")
        try:
            new = filled(text, found)
            check_layout(new)
        except KernbenchError as error:
            refused.append(f"{path.name}: {error}")
            continue
        stale += pictures(new, found, path.parent / IMG, check=check)
        if new != text:
            stale.append(path.name)
            if not check:
                path.write_text(new, encoding="utf-8")
    print(f"{'not as the data say' if check else 'written'}: {', '.join(stale) or 'none'}")
    for line in refused:
        print(line, file=sys.stderr)
    return 2 if refused else 1 if stale and check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
