"""After a tab a shell offers commands, names of families, studies, networks and profiles, and files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from kernbench.cli import cli

FAMILIES = {"discrete", "siren", "gaussian", "laplacian", "log", "stencil"}
STUDIES = {file.stem for file in (Path(__file__).parents[2] / "studies").glob("*.toml")}


def offered(*words):
    """Values and types that are offered for the last word."""
    *before, begun = words
    found = ShellComplete(cli, {}, "kernbench", "_KERNBENCH_COMPLETE").get_completions(list(before), begun)
    return {(each.value, each.type) for each in found}


def plain(names):
    return {(name, "plain") for name in names}


def test_commands_are_offered_without_an_import_of_them():
    assert offered("re") == plain(["report"])
    assert plain(["run", "worker", "list", "dashboard"]) <= offered("")


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--plugin"),
        ("status", "--plugin"),
        ("report", "--plugin"),
        ("worker", "--plugin"),
        ("evaluate", "--plugin"),
        ("baselines", "--plugin"),
        ("slurm", "--plugin"),
        ("data", "export-weights", "--plugin"),
        ("cells", "redo", "--plugin"),
        ("analyze", "fit", "--plugin"),
        ("check",),
        ("describe",),
    ],
)
def test_families(words):
    assert plain(FAMILIES) <= offered(*words, "")
    assert offered(*words, "sten") == plain(["stencil"])


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--study"),
        ("status", "--study"),
        ("report", "--study"),
        ("report",),
        ("worker", "--study"),
        ("evaluate", "--study"),
        ("baselines", "--study"),
        ("slurm", "--study"),
        ("data", "simulate", "--study"),
        ("data", "weights", "--study"),
        ("cells", "redo"),
        ("cells", "drop"),
        ("storage", "copy", "--study"),
        ("storage", "check", "--study"),
    ],
)
def test_studies(words):
    assert plain(STUDIES) <= offered(*words, "")
    assert offered(*words, "k_s") == plain(["k_sweep"])


def test_in_a_list_the_last_name_is_completed_where_a_list_may_be():
    assert offered("run", "--plugin", "siren,gau") == plain(["siren,gaussian"])
    assert offered("run", "--study", "k_sweep,smo") == plain(["k_sweep,smoke"])
    assert offered("slurm", "--plugin", "siren,gau") == {("siren,gau", "file")}  # it takes one


def test_networks_profiles_and_choices():
    assert offered("describe", "siren", "--network", "dil") == plain(["dilated"])
    for command in (("run",), ("worker",), ("slurm",), ("baselines",), ("data", "simulate")):
        assert offered(*command, "--profile", "") == plain(["day", "quick", "smoke", "thesis"])
    assert offered("list", "plu") == plain(["plugins"])
    assert offered("report", "--format", "la") == plain(["latex"])


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--plugin", "./my"),
        ("run", "--study", "./my"),
        ("check", "../x"),
        ("worker", "--network", "my"),
        ("evaluate", "--weights", "my"),
        ("report", "--out", "my"),
    ],
)
def test_files_where_no_name_fits(words):
    assert offered(*words) == {(words[-1], "file")}


@pytest.mark.parametrize("error", [SystemExit(1), RuntimeError("broken"), KeyError("x")])
def test_what_is_broken_offers_files_and_prints_nothing(monkeypatch, capfd, error):
    def broken():
        raise error

    monkeypatch.setattr("kernbench.study.offered.offered_studies", broken)
    assert offered("run", "--study", "k_s") == {("k_s", "file")}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("words", "number", "answer"), [("kernbench run --plugin sten", 3, "plain,stencil\n")])
def test_a_shell_gets_the_names_from_the_command_itself(words, number, answer):
    more = {"_KERNBENCH_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    command = [sys.executable, "-c", "from kernbench.cli import main; main()"]
    done = subprocess.run(command, env=os.environ | more, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (answer, "")


def test_bash_takes_the_script_that_the_readme_names():
    command = [sys.executable, "-c", "from kernbench.cli import main; main()"]
    more = {"_KERNBENCH_COMPLETE": "bash_source"}
    done = subprocess.run(command, env=os.environ | more, capture_output=True, text=True, check=True)
    assert "complete -o nosort -F _kernbench_completion kernbench" in done.stdout
    subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True)
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert 'eval "$(_KERNBENCH_COMPLETE=bash_source kernbench)"' in readme
