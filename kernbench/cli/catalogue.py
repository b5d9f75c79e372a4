"""`kernbench list`: what can be named on the command line."""

from typing import Any

import click


def _plugins() -> list[tuple[str, str]]:
    from kernbench.registry import installed

    catalogue = installed()
    rows = [
        (name, f"{found.family.description} ({found.distribution} {found.version})")
        for name, found in sorted(catalogue.found.items())
    ]
    return rows + [(each.plugin, f"BROKEN: {each.reason} ({each.distribution})") for each in catalogue.broken]


def _studies() -> list[tuple[str, str]]:
    import tomllib

    from kernbench.study.reading import available_studies

    studies = available_studies()
    tables = {name: tomllib.loads(file.read_text(encoding="utf-8")) for name, file in studies.items()}
    return [(name, f"{table.get('question', '')}{_tuned(table)}") for name, table in sorted(tables.items())]


def _tuned(table: dict[str, Any]) -> str:
    from kernbench.study.tuning import DEFAULTS

    if not isinstance(table.get("tuning"), dict):
        return ""
    tuning = DEFAULTS | table["tuning"]
    return f" (tuned: {tuning['trials']} draws by {tuning['sampler']})"


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
