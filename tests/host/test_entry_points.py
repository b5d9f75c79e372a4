"""Entry points: a broken file of one package costs its broken line and nothing else."""

import importlib.metadata

import pytest

from kernbench.errors import KernbenchWarning
from kernbench.host.entry_points import entries_of, entry_points_go_on

BROKEN = "# a remark\n[console_scripts]\nnonsense\n\n[kernbench]\nmine = some.module:it\n"


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A package whose entry_points.txt has a line without "="."""
    info = tmp_path / "broken_one-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-one\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(BROKEN)
    before = {entry.name for entry in entries_of("kernbench")}
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TypeError):
        importlib.metadata.entry_points(group="kernbench")  # what there is to mend
    return before


def test_the_others_go_on_with_one_line(broken):
    with pytest.warns(KernbenchWarning) as warned:
        found = {entry.name: entry for entry in entries_of("kernbench")}
    assert found.keys() == broken | {"mine"}
    assert (found["mine"].value, found["mine"].dist.name, found["mine"].dist.version) == (
        "some.module:it",
        "broken-one",
        "1.0",
    )
    assert str(warned.pop().message) == (
        "entry_points.txt of package broken-one: expected NAME = VALUE, got 'nonsense'; the other lines are used; "
        "install the package again"
    )
    assert not warned.list


def test_libraries_go_on_too(broken):
    usual = importlib.metadata.entry_points
    with entry_points_go_on(), pytest.warns(KernbenchWarning):
        assert len(importlib.metadata.entry_points(group="console_scripts")) > 1
    assert importlib.metadata.entry_points is usual
