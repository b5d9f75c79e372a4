"""Start-up: help and lists appear immediately, because nothing heavy is imported for them."""

import json
import re
import subprocess
import sys

HEAVY = {"torch", "scipy", "matplotlib", "optuna", "sqlalchemy", "pandas", "plotly"}
LIGHT = ("--help", "--version", "run --help", "report --help", *(f"list {kind}" for kind in ("plugins", "studies")))
LIGHT += ("list profiles", "list networks")
LATE = {"scipy.fft", "scipy.interpolate", "scipy.io", "scipy.signal", "matplotlib", "optuna_dashboard"}
# Runs one command after the other; of each its exit code, and all modules imported by then.
PROGRAM = """
import contextlib, io, json, sys
from kernbench.cli import main
for words in json.loads(sys.argv[1]):
    sys.argv, out = ["kernbench", *words.split()], io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            main()
    except SystemExit as ended:
        print(json.dumps([words, ended.code, out.getvalue(), sorted(sys.modules)]))
"""


def printed(program, *words):
    """Standard output of a fresh process."""
    command = [sys.executable, "-c", program, *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=120).stdout


def test_a_light_command_imports_nothing_heavy():
    heavy = "run --plugin siren --study no_such_study"  # to see that the check sees it
    ended = [json.loads(line) for line in printed(PROGRAM, json.dumps([*LIGHT, heavy])).splitlines()]
    assert [words for words, *_ in ended] == [*LIGHT, heavy]
    for words, code, out, modules in ended[:-1]:
        assert code == 0, words
        assert out, words
        assert HEAVY.isdisjoint(name.partition(".")[0] for name in modules), words
    assert "torch" in ended[-1][3]


def test_importing_the_package_imports_nothing_heavy():
    modules = printed("import sys, kernbench; print(*{name.partition('.')[0] for name in sys.modules})").split()
    assert (HEAVY | {"numpy"}).isdisjoint(modules)


def test_what_only_some_cells_need_is_not_imported_before_a_run():
    assert printed(f"import sys, kernbench.ulm.cells.run; print(*{LATE} & set(sys.modules))").strip() == ""


def test_every_command_has_a_help_page_and_is_listed(bench):
    listed = bench.run("--help").out
    commands = re.findall(r"^  (\S+)  ", listed.partition("Commands:")[2], re.MULTILINE)
    assert {"run", "status", "report", "list", "describe", "check", "data", "dashboard"} <= set(commands)
    for command in commands:
        page = bench.run(command, "--help")
        assert (page.code, page.err) == (0, ""), page
        assert page.out.startswith("Usage: kernbench " + command)
