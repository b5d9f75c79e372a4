"""Studies that installed packages offer; a package that is broken does not keep the others from being used."""

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from importlib.resources import files
from importlib.resources.abc import Traversable

from kernbench.errors import StudyError, first_line
from kernbench.host.entry_points import entries_of
from kernbench.host.process_state import importing
from kernbench.study.toml_tables import TomlTable

STUDY_GROUP = "kernbench.studies"


@dataclass(frozen=True)
class Offered:
    """What the packages of the entry-point group `kernbench.studies` offer.

    Attributes:
        files: name of a study -> its TOML file.
        refused: name of a study that several packages offer -> what to do.
        broken: package that cannot be read -> reason, one line.
    """

    files: Mapping[str, Traversable]
    refused: Mapping[str, str]
    broken: Mapping[str, str]

    def file(self, name: str) -> Traversable | None:
        """File of a study, None where no package has it.

        Raises:
            StudyError: several packages offer a study of that name; names them.
        """
        if name in self.refused:
            raise StudyError(f"study {name!r}: {self.refused[name]}")
        return self.files.get(name)


def offered_studies() -> Offered:
    """Studies of all packages, by name."""
    found: dict[str, dict[str, Traversable]] = defaultdict(dict)  # study -> package -> file
    broken: dict[str, str] = {}
    for package in _packages(entries_of(STUDY_GROUP)):
        try:
            with importing(package):
                for name, file in _toml_files(package):
                    found[name][package] = file
        except (Exception, SystemExit) as error:  # whatever a package does at import, the others go on
            broken[package] = first_line(error)
    return Offered(
        files={name: next(iter(homes.values())) for name, homes in found.items() if len(homes) == 1},
        refused={name: _refusal(homes) for name, homes in found.items() if len(homes) > 1},
        broken=broken,
    )


def read_toml(file: Traversable, source: str) -> TomlTable:
    """Contents of a study file, without the byte order mark that some editors write first.

    Raises:
        StudyError: it cannot be read, or is not TOML; with the place.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"{source}: not valid TOML: {error}") from error
    except OSError as error:
        raise StudyError(f"{source}: cannot be read: {error.strerror}") from error


def _packages(entries: Iterable[EntryPoint]) -> list[str]:
    """Packages named by entry points, each once."""
    return list(dict.fromkeys(entry.value for entry in sorted(entries)))


def _toml_files(package: str) -> Iterator[tuple[str, Traversable]]:
    for file in sorted(files(package).iterdir(), key=lambda item: item.name):
        if file.name.endswith(".toml"):
            yield file.name.removesuffix(".toml"), file


def _refusal(homes: Iterable[str]) -> str:
    return f"offered by packages {' and '.join(homes)}; rename one of the files, or give the path of one"
