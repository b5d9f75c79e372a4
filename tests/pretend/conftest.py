"""Tests of this folder run in a process of their own, in which torch knows the pretend accelerator from the start.

Torch makes one queue of backward passes for each device when it is first asked for one, and never again: a process that
has run other tests is too late, and one that knows the accelerator is not what other tests are about. So the first test
of a file sends the whole file to a new process, where pytest runs it, and what it reports there is reported here.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
from forked import Forked
from own_process import INSIDE, run_inside

FOLDER = Path(__file__).parent
FOUND = pytest.StashKey()  # file of tests -> test -> its reports


class Kept:
    """Keeps what pytest reports in the process of their own."""

    def __init__(self, config, path):
        self._config, self._path = config, Path(path)

    def pytest_runtest_logreport(self, report):
        """One line for each phase of a test."""
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(data) + "\n")


def pytest_configure(config):
    """There: keep the reports, and let torch know of the accelerator before anything else."""
    if INSIDE in os.environ:
        from pretend_gpu import register

        register()
        config.pluginmanager.register(Kept(config, os.environ[INSIDE]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    """Report what became of a test there, in place of running it here: not even its fixtures."""
    if INSIDE in os.environ or FOLDER not in item.path.parents:
        return None
    known = item.session.stash.setdefault(FOUND, {})
    if item.path not in known:
        known[item.path] = _reports(item)
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in known[item.path](item):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _reports(item):
    """What gives the reports of a test, when all of its file have run."""
    tests = [each.nodeid for each in item.session.items if each.path == item.path]
    results = item.config._tmp_path_factory.mktemp("pretend") / "reports.jsonl"
    results.touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment[INSIDE] = str(results)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    said, _ = Forked(run_inside, tests, cwd=item.config.rootpath, env=environment, **pipes).communicate()
    rows = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]

    def of_test(wanted):
        kept = [row for row in rows if row["nodeid"] == wanted.nodeid]
        if [row["when"] for row in kept][-1:] != ["teardown"]:
            return [_ended_early(wanted, said)]
        return [_report(wanted.config, row) for row in kept]

    return of_test


def _report(config, row):
    report = config.hook.pytest_report_from_serializable(config=config, data=row)
    if isinstance(report.longrepr, list):  # of a skip: a tuple, which JSON does not know
        report.longrepr = tuple(report.longrepr)
    return report


def _ended_early(item, said):
    text = f"its process ended before the test had; it said:\n{said}"
    place = {"nodeid": item.nodeid, "location": item.location, "keywords": {}}
    return pytest.TestReport(**place, outcome="failed", longrepr=text, when="call")


@pytest.fixture
def same_choices(own_cache):
    """Let `auto` and `overlap_save` choose on the accelerator as on the CPU: by constants that a fit would leave."""
    from pretending import pretending

    from kernbench.conv import constants

    with pretending():
        paths = [constants.fitted_path("gpu")]
    constants._path.cache_clear()  # the machine that it names has no accelerator any more
    for path in (*paths, constants.fitted_path("gpu")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(constants._built_in("cpu"))
    yield
    constants._path.cache_clear()
