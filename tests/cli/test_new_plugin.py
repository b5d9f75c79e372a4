"""`kernbench new-plugin`: what it writes is installed, found, passes the checks and its own test, and runs."""

import os
import subprocess
import sys

import pytest

from kernbench.kernels.checks import CHECKS


def beside_the_package(folder, *command):
    """Run a command where the package in `folder`/site is installed."""
    environment = {key: value for key, value in os.environ.items() if key != "KERNBENCH_LOAD_PLUGINS"}
    environment |= {"PYTHONPATH": str(folder / "site"), "PYTHONSAFEPATH": "1"}
    words = [sys.executable, "-m", *command]
    result = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_a_new_package_is_installed_keeps_the_contract_and_runs(bench):
    result = bench.run("new-plugin", "my_waves")
    assert result.code == 0, result.err
    assert "pip install -e kernbench_my_waves && kernbench check my_waves" in result.out
    install = "pip install --quiet --no-deps --no-build-isolation --target site ./kernbench_my_waves"
    beside_the_package(bench.folder, *install.split())
    assert "my_waves" in beside_the_package(bench.folder, "kernbench", "list", "plugins")
    assert f"all {len(CHECKS)} checks passed" in beside_the_package(bench.folder, "kernbench", "check", "my_waves")
    tests = str(bench.folder / "kernbench_my_waves" / "tests")
    assert "2 passed" in beside_the_package(
        bench.folder, "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tests, tests
    )
    run = "kernbench run --plugin my_waves --study smoke --only kernel_size=33 --no-baselines"
    assert "smoke.v1.quick/my_waves: all complete (1 done)" in beside_the_package(bench.folder, *run.split())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Mine", "expected lower-case letters"),
        ("2fast", "expected lower-case letters"),
        ("lambda", "expected lower-case letters"),
        ("../up", "expected lower-case letters"),
        ("siren", "there is a family 'siren' already"),
    ],
)
def test_a_name_that_cannot_be_is_refused(bench, name, said):
    result = bench.run("new-plugin", name)
    assert result.code == 2
    assert said in result.err
    assert not list(bench.folder.glob("kernbench_*"))


def test_a_folder_that_holds_something_stays_as_it_is(bench):
    folder = bench.folder / "kernbench_mine"
    folder.mkdir()
    (folder / "notes").write_text("mine")
    result = bench.run("new-plugin", "mine")
    assert result.code == 2
    assert "not empty" in result.err
    assert [path.name for path in folder.iterdir()] == ["notes"]
