"""Names of studies and plugins as they are typed: repeated, in a list with commas, or one and no more."""

import os
from collections.abc import Sequence
from typing import Any

import click

from kernbench.cli import completing

STUDIES = "Only this study; several by repetition or with commas."
FAMILIES = "Only this kernel family; several by repetition or with commas."


def several(_context: click.Context, option: click.Parameter, given: Sequence[str]) -> tuple[str, ...]:
    """All names of an option that may be repeated, each once, in their order; a callback of click.

    A comma separates names, unless what holds it is as a whole the path of a file.

    Raises:
        click.UsageError: nothing between two commas.
    """
    return tuple(dict.fromkeys(name for text in given for name in _split(text, option)))


def one(context: click.Context, option: click.Parameter, given: Sequence[str]) -> str | None:
    """The one name of an option that would else take the last of several without a word; a callback of click.

    Raises:
        click.UsageError: there are several.
    """
    names = several(context, option, given)
    if len(names) > 1:
        raise click.UsageError(
            f"{_called(option)}: expected one name, got {', '.join(names)}; give the command once for each",
            ctx=context,
        )
    return names[0] if names else None


def one_option(name: str, *names: str, **settings: Any) -> Any:  # Any: what click takes and gives
    """An option with one name; given twice or with a list, it is refused."""
    default = settings.pop("default", None)
    if default is not None:
        settings |= {"default": [default], "show_default": default}
    offered = {"--study": completing.study, "--plugin": completing.family}.get(name)
    return click.option(name, *names, multiple=True, callback=one, shell_complete=offered, **settings)


def several_option(name: str, *names: str, **settings: Any) -> Any:  # Any: what click takes and gives
    """An option with any number of names, by repetition or in a list."""
    offered = {"--study": completing.studies, "--plugin": completing.families}.get(name)
    return click.option(name, *names, multiple=True, callback=several, shell_complete=offered, **settings)


def family_names(plugins: Sequence[str]) -> tuple[str, ...]:
    """Names of the families, as studies are stored under them: a file is asked which family it offers.

    Args:
        plugins: a family's name, which need not be installed, or FILE.py:NAME.

    Raises:
        PluginError: a file that does not offer it.
    """
    from kernbench.registry import find_family

    return tuple(dict.fromkeys(find_family(name).name if ".py" in name else name for name in plugins))


def _split(text: str, option: click.Parameter) -> list[str]:
    if "," not in text:
        return [text]
    if _is_file(text):
        path, dot, name = text.rpartition(".py")
        if not (name.startswith(":") and "," in name):
            return [text]
        first, *others = name.split(",")  # no family or network has a comma
        names = [f"{path}{dot}{first}", *(other.strip() for other in others)]
    else:
        names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise click.UsageError(f"{_called(option)}: expected names between the commas, got {text!r}")
    return names


def _is_file(text: str) -> bool:
    """Whether FILE.py:NAME or FILE.toml names a file as a whole; os.path takes what no file can be called, too."""
    path, dot, _ = text.rpartition(".py")
    return os.path.isfile(text) or (bool(dot) and os.path.isfile(f"{path}.py"))  # noqa: PTH113


def _called(option: click.Parameter) -> str:
    return option.opts[0] if isinstance(option, click.Option) else str(option.metavar or option.name).strip("[].")
