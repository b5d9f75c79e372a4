"""A study that one release of kernbench began is continued by the next: same digests, cells kept, one series."""

import csv
import importlib.metadata

import pytest

from kernbench.registry import find, installed
from kernbench.report.results import results


@pytest.fixture
def release(monkeypatch):
    """Calls itself kernbench of a version, from now on."""
    usual = importlib.metadata.Distribution.version

    def become(version):
        def of(distribution):
            return version if distribution.metadata["Name"] == "kernbench" else usual.fget(distribution)

        monkeypatch.setattr(importlib.metadata.Distribution, "version", property(of))
        installed.cache_clear()
        assert find("siren").label == f"kernbench {version}"

    yield become
    monkeypatch.undo()
    installed.cache_clear()


def test_a_study_of_the_first_release_is_continued_by_the_next(release, plain_bench):
    run = ["run", "--plugin", "siren", "--study", "smoke", "--profile", "quick", "--no-baselines"]
    release("0.1.0")
    assert plain_bench.run(*run).code == 0
    before = {cell.name: cell.run for cell in results(plain_bench.database)}
    release("0.2.0")
    again = plain_bench.run(*run, "--seeds", "2")
    assert again.code == 0, again
    assert "made with" not in again.out + again.err
    after = {cell.name: cell.run for cell in results(plain_bench.database)}
    assert sorted(cell.kernbench_version for cell in after.values()) == ["0.1.0", "0.1.0", "0.2.0", "0.2.0"]
    assert len({cell.digest for cell in after.values()}) == 1
    assert {name: after[name].started for name in before} == {name: cell.started for name, cell in before.items()}
    with (plain_bench.folder / "kernbench-report" / "summary.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["seeds"] for row in rows] == ["2", "2"]  # one series: a mean over the seeds of both
    assert {row.get("apart", "") for row in rows} == {""}
