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
            for digest in _digests(study.user_attrs.get("definition", "")):
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


def _digests(definition: str) -> list[str]:
    """Of the lines of a study, each once; none where its definition is damaged or its responses are not there."""
    from kernbench.ulm.cells.definition import SPLITS, recipe_of

    with suppress(ValueError, KeyError, TypeError, AttributeError, KernbenchError):
        content = json.loads(definition)
        return list(dict.fromkeys(recipe_of(content, split).digest() for split in SPLITS))
    return []
