"""The Dockerfile, as text: it is built only where Docker is, but what it copies and promises can be read here."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
FILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
PAGE = (REPOSITORY / "docs" / "docker.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def instructions():
    """Instruction and the rest of its line, of the whole file."""
    plain = re.sub(r"^#.*\n", "", FILE, flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in plain.splitlines() if line]


def copied():
    """What is copied from the repository."""
    words = [rest.split() for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    return [source for each in words for source in each[:-1]]


def values(word):
    return [rest for each, rest in instructions() if each == word]


@pytest.mark.parametrize("path", copied())
def test_what_it_copies_is_in_the_repository_and_goes_to_the_builder(path):
    assert (REPOSITORY / path).exists()
    ignore = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split("\n")
    assert f"!{path}" in ignore
    assert not any(fnmatch(path, pattern) for pattern in ignore[ignore.index(f"!{path}") :])


def test_it_copies_all_that_the_wheel_is_made_of():
    project, folders = PROJECT["project"], PROJECT["tool"]["setuptools"]["package-dir"].values()
    needed = {"pyproject.toml", project["readme"], *project["license-files"], *(path.split("/")[0] for path in folders)}
    assert needed <= set(copied())


def test_the_wheel_is_named_without_its_version_and_installed_with_extras_that_exist():
    assert "pip wheel --no-cache-dir --no-deps --wheel-dir /wheels ." in FILE
    extras = re.search(r"kernbench-\*\.whl\)\[([\w,]+)\]", FILE)[1].split(",")
    assert set(extras) == set(PROJECT["project"]["optional-dependencies"])
    assert PROJECT["project"]["version"] not in FILE


def test_torch_is_the_cpu_build_of_the_tested_version_unless_another_index_is_given():
    assert "TORCH_INDEX=https://download.pytorch.org/whl/cpu" in values("ARG")
    assert """--index-url "${TORCH_INDEX}" "$(grep '^torch==' /tmp/constraints.txt)\"""" in FILE
    assert len(re.findall(r"^torch==", (REPOSITORY / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)) == 1
    assert "--build-arg TORCH_INDEX=" in PAGE


def test_it_runs_kernbench_in_a_volume_and_not_as_root():
    assert values("ENTRYPOINT") == ['["kernbench"]']
    assert values("USER") == ["kernbench"]
    assert values("WORKDIR")[-1] == values("VOLUME")[0] == "/runs"
    order = [word for word, _ in instructions()]
    # what a volume holds when it is new is what was there before VOLUME, its owner included
    assert order.index("USER") < order.index("VOLUME") < order.index("ENTRYPOINT")
    assert "--owner kernbench /runs" in FILE


def test_the_page_runs_commands_that_exist():
    from kernbench.cli import cli

    runs = re.findall(r"^docker run (?:.*) kernbench(?:-cuda)? (\w+)", PAGE, flags=re.MULTILINE)
    assert len(runs) == PAGE.count("\ndocker run ") == 4
    assert set(runs) <= set(cli.list_commands(None))
