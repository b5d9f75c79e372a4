"""`kernbench new-plugin`: a package for a kernel family, with a kernel that works, its test and its entry point."""

import keyword
import re
from pathlib import Path

import click

from kernbench.cli.options import PATH

FILES = {  # place in the package -> template; {package} and {name} are those of the family
    "pyproject.toml": "pyproject.txt",
    "README.md": "readme.txt",
    "{package}/__init__.py": "init.txt",
    "{package}/kernel.py": "kernel.txt",
    "tests/test_{name}.py": "test.txt",
}


@click.command()
@click.argument("name")
@click.option("--out", type=PATH, help="New folder of the package.  [kernbench_NAME]")
def new_plugin_command(name: str, out: Path | None) -> int:
    """Write a package for a kernel family NAME: kernel, test, README, entry point.

    Its kernel works, keeps the contract and learns; put your own in its place.
    """
    from kernbench.registry import installed
    from kernbench.ulm.data.export import new_folder

    if not re.fullmatch(r"[a-z][a-z0-9_]{0,49}", name) or keyword.iskeyword(name):
        raise click.UsageError(
            f"NAME expected lower-case letters, digits and _, a letter first, 50 at most, got {name!r}; "
            "it names a package, too"
        )
    if name in installed().found:
        raise click.UsageError(f"NAME: there is a family {name!r} already; give another name")
    package = f"kernbench_{name}"
    folder = out or Path(package)
    texts = filled(name, package)
    with new_folder(folder) as new:
        for place, text in texts.items():
            (new / place).parent.mkdir(parents=True, exist_ok=True)
            (new / place).write_text(text, encoding="utf-8")
    click.echo(f"{folder}: package {package}")
    click.echo(
        f"next: pip install -e {folder} && kernbench check {name}; the kernel is in {folder / package}/kernel.py"
    )
    return 0


def filled(name: str, package: str) -> dict[str, str]:
    """Place in the package -> text of every file."""
    from importlib.resources import files
    from string import Template

    words = {"name": name, "package": package, "class_name": "".join(map(str.capitalize, name.split("_")))}
    templates = files("kernbench.cli").joinpath("new_plugin_files")
    return {
        place.format(**words): Template(templates.joinpath(file).read_text(encoding="utf-8")).substitute(words)
        for place, file in FILES.items()
    }
