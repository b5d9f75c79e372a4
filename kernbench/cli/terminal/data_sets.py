"""Which stored studies use which simulated lines, for `kernbench data info`."""

import json
from collections.abc import Mapping
from contextlib import suppress

import click

from kernbench.errors import KernbenchError, StorageError


def uses(storage: str | None) -> Mapping[str, str] | None:
    """Digest of lines -> the studies of a database that use them, in words.

    Args:
        storage: as typed.

    Returns:
        None where no database was named and none is there, or it cannot be read, which is said.

    Raises:
        StorageError: the database that was named cannot be read.
    """
    from kernbench.store.database.url import resolve_url, sqlite_path
    from kernbench.store.reading.runs import stored_studies

    url = resolve_url(storage)
    path = sqlite_path(url)
    if storage is None and path is not None and not path.is_file():
        return None
    found: dict[str, dict[str, list[str]]] = {}
    try:
        for study in stored_studies(url):
            base, _, family = study.study_name.rpartition("/")
            for digest in _digests(study.user_attrs.get("definition", ""), study.user_attrs.get("cells", "[]")):
                found.setdefault(digest, {}).setdefault(base, []).append(family)
    except StorageError as error:
        if storage is not None:
            raise
        click.echo(f"kernbench: warning: studies are not named: {error}", err=True)
        return None
    return {
        digest: ", ".join(f"{base} ({', '.join(families)})" for base, families in studies.items())
        for digest, studies in found.items()
    }


def _digests(definition: str, cells: str) -> list[str]:
    """Of the lines of a study, each once; none where its definition is damaged or its responses are not there.

    Args:
        definition: of the study, JSON.
        cells: their names, JSON; an axis that lines depend on is known from them alone.
    """
    from kernbench.ulm.cells.definition import SPLITS, recipe_of

    with suppress(ValueError, KeyError, TypeError, AttributeError, KernbenchError):
        content = json.loads(definition)
        points = dict.fromkeys(_line_values(cell) for cell in json.loads(cells)) or [()]
        recipes = (recipe_of(content, split, dict(point)) for point in points for split in SPLITS)
        return list(dict.fromkeys(recipe.digest() for recipe in recipes))
    return []


def _line_values(cell: str) -> tuple[tuple[str, str], ...]:
    """Values in the name of a cell that its lines depend on."""
    from kernbench.study.settings import AXIS_LINES

    pairs = (each.partition("=") for each in cell.split(","))
    return tuple((name, value) for name, _, value in pairs if name in AXIS_LINES)
