"""`kernbench list`: what can be named on the command line."""

from typing import TYPE_CHECKING, Any

import click

from kernbench.errors import counted

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def _plugins() -> list[tuple[str, str]]:
    from kernbench.registry import installed

    catalogue = installed()
    rows = [
        (name, f"{found.family.description} ({found.distribution} {found.version})")
        for name, found in sorted(catalogue.found.items())
    ]
    return rows + [(each.plugin, f"BROKEN: {each.reason} ({each.distribution})") for each in catalogue.broken]


def _studies() -> list[tuple[str, str]]:
    from kernbench.study.offered import offered_studies

    offered = offered_studies()
    rows = [(name, _question(name, file)) for name, file in offered.files.items()]
    rows += [(name, f"REFUSED: {why}") for name, why in offered.refused.items()]
    return sorted(rows) + [(package, f"BROKEN: {why}") for package, why in offered.broken.items()]


def _question(name: str, file: "Traversable") -> str:
    from kernbench.errors import StudyError
    from kernbench.study.offered import read_toml

    try:
        table = read_toml(file, f"{name}.toml")
    except StudyError as error:  # the others are listed
        return f"BROKEN: {error}"
    return f"{table.get('question', '')}{_tuned(table)}"


def _tuned(table: dict[str, Any]) -> str:
    from kernbench.study.tuning import DEFAULTS

    if not isinstance(table.get("tuning"), dict):
        return ""
    tuning = DEFAULTS | table["tuning"]
    profiles = table.get("profiles")
    found = profiles.items() if isinstance(profiles, dict) else ()
    own = {name: trials for name, changes in found if (trials := _own_trials(changes)) is not None}
    others = "".join(f", {trials} at {name}" for name, trials in own.items())
    return f" (tuned: {counted(tuning['trials'], 'draw')}{others}, by {tuning['sampler']})"


def _own_trials(changes: object) -> object:
    """Draws of a profile, as a study writes them there; None where it does not."""
    tuning = changes.get("tuning") if isinstance(changes, dict) else None
    return tuning.get("trials") if isinstance(tuning, dict) else None


def _profiles() -> list[tuple[str, str]]:
    from kernbench.study.reading import profiles

    return [(name, str(table.get("description", ""))) for name, table in profiles().items()]


def _networks() -> list[tuple[str, str]]:
    from kernbench.registry import CORE, installed

    rows = []
    for name, found in sorted(installed().networks.items()):
        origin = "" if found.plugin == CORE else f" ({found.distribution} {found.version})"
        rows.append((name, f"{found.architecture.description}{origin}"))
    return rows


def _backends() -> list[tuple[str, str]]:
    from kernbench.conv.backends import BACKENDS

    return list(BACKENDS.items())


_KINDS = {
    "plugins": _plugins,
    "studies": _studies,
    "profiles": _profiles,
    "networks": _networks,
    "backends": _backends,
}


@click.command()
@click.argument("kind", type=click.Choice(tuple(_KINDS)))
def list_command(kind: str) -> None:
    """List plugins (kernel families), studies, profiles, networks or backends."""
    rows = _KINDS[kind]()
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        click.echo(f"{name:{width}}  {text}".rstrip())
