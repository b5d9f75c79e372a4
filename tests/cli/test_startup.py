"""Start-up: help and lists come at once, because nothing heavy is imported for them."""

import json
import os
import re
import subprocess
import sys

import pytest

HEAVY = ("torch", "scipy", "matplotlib", "optuna", "sqlalchemy", "pandas", "plotly")
PROGRAM = """
import json, sys
sys.argv = ["kernbench", *json.loads(sys.argv[1])]
from kernbench.cli import main
try:
    main()
except SystemExit as ended:
    print(json.dumps([ended.code, sorted(sys.modules)]), file=sys.stderr)
"""


def imported(program, words=()):
    """Exit code and modules of a fresh process."""
    command = [sys.executable, "-c", program, json.dumps(words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=os.environ)
    code, modules = json.loads(done.stderr.splitlines()[-1])
    return code, {name.partition(".")[0] for name in modules}, done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["report", "--help"],
        ["list", "plugins"],
        ["list", "studies"],
        ["list", "profiles"],
        ["list", "networks"],
    ],
    ids=" ".join,
)
def test_a_light_command_imports_nothing_heavy(words):
    code, modules, out = imported(PROGRAM, words)
    assert code == 0
    assert out
    assert modules.isdisjoint(HEAVY), modules & set(HEAVY)


def test_importing_the_package_imports_nothing_heavy():
    program = "import json, sys, kernbench; print(json.dumps([0, sorted(sys.modules)]), file=sys.stderr)"
    _, modules, _ = imported(program)
    assert modules.isdisjoint(HEAVY), modules & set(HEAVY)
    assert "numpy" not in modules


def test_the_check_sees_heavy_imports():
    _, modules, _ = imported(PROGRAM, ["run", "--plugin", "siren", "--study", "no_such_study"])
    assert "torch" in modules


def test_what_only_some_cells_need_is_not_imported_before_a_run():
    late = {"scipy.fft", "scipy.interpolate", "scipy.io", "scipy.signal", "matplotlib", "optuna_dashboard"}
    code = f"import sys, kernbench.ulm.cells.run; print(*{late} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == ""


def test_every_command_has_a_help_page_and_is_listed():
    _, _, listed = imported(PROGRAM, ["--help"])
    commands = re.findall(r"^  (\S+)  ", listed.partition("Commands:")[2], re.MULTILINE)
    assert {"run", "status", "report", "list", "describe", "check", "data", "dashboard"} <= set(commands)
    for command in commands:
        code, _, page = imported(PROGRAM, [command, "--help"])
        assert code == 0
        assert page.startswith("Usage: kernbench " + command)
