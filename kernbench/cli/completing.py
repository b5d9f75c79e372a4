"""What a shell offers after a tab: names of families, studies, networks and profiles; files where none of them fits."""

from collections.abc import Callable, Iterable
from contextlib import suppress

import click
from click.shell_completion import CompletionItem

_Offer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _families() -> Iterable[str]:
    from kernbench.registry import installed

    return installed().found


def _studies() -> Iterable[str]:
    from kernbench.study.offered import offered_studies

    return offered_studies().files


def _networks() -> Iterable[str]:
    from kernbench.registry import installed

    return installed().networks


def _profiles() -> Iterable[str]:
    from kernbench.study.reading import profiles

    return profiles()


def _offering(names: Callable[[], Iterable[str]], lists: bool = False) -> _Offer:
    """What click calls for a word that is not yet whole; whatever is broken, a tab prints nothing.

    Args:
        names: all that can be named.
        lists: the word may be a list with commas, whose last name is not yet whole.
    """

    def offer(_context: click.Context, _parameter: click.Parameter, word: str) -> list[CompletionItem]:
        known: list[str] = []
        with suppress(Exception, SystemExit):
            known = sorted(names())
        before, comma, begun = word.rpartition(",") if lists else ("", "", word)
        found = [CompletionItem(f"{before}{comma}{name}") for name in known if name.startswith(begun)]
        return found or [CompletionItem(word, type="file")]

    return offer


family, families = _offering(_families), _offering(_families, lists=True)
study, studies = _offering(_studies), _offering(_studies, lists=True)
network, profile = _offering(_networks), _offering(_profiles)
file = _offering(tuple)
