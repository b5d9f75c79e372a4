"""`kernbench data`: manifest, import, export and info."""

import pytest
from line_files import write_folder

from kernbench.ulm.data.cache import cache_folder
from kernbench.ulm.data.recipe import Recipe, load_split

RULE = ("--train", "1-2", "--test", "3-4")


@pytest.fixture
def lines(bench):
    """Four text lines."""
    write_folder(bench.folder / "lines", range(1, 5))
    return bench.folder / "lines"


def test_lines_are_imported_by_a_manifest_and_exported_again(bench, lines):
    made = bench.run("data", "manifest", "lines", *RULE)
    assert made.code == 0, made
    assert "4 lines, number in the file name: train 1-2, test 3-4" in made.out
    imported = bench.run("data", "import", "lines", "--name", "mine")
    assert imported.code == 0, imported
    assert "train 2, test 2 lines" in imported.out
    info = bench.run("data", "info")
    assert "mine" in info.out
    assert "intact; number in the file name" in info.out
    exported = bench.run("data", "export", "mine", "--out", "out", "--split", "test")
    assert exported.code == 0, exported
    files = {path.name for path in (bench.folder / "out").iterdir()}
    assert files == {"RFDATA00001.txt", "RFDATA00002.txt", "manifest.json"}
    original = (lines / "RFDATA00003.txt").read_text().split("\n", 1)[1]
    assert (bench.folder / "out" / "RFDATA00001.txt").read_text().split("\n", 1)[1] == original


def test_simulated_lines_are_exported_by_digest(bench):
    recipe = Recipe({"test": 1})
    load_split(recipe, "test")
    assert bench.run("data", "export", recipe.digest(), "--out", "out", "--format", "mat").code == 0
    assert (bench.folder / "out" / "RFDATA00001.mat").exists()


def test_a_manifest_can_be_csv_and_lie_elsewhere(bench, lines):
    assert bench.run("data", "manifest", "lines", *RULE, "--out", "split.csv").code == 0
    assert bench.run("data", "import", "lines", "--manifest", "split.csv", "--name", "mine").code == 0


def test_a_malformed_file_is_named_with_its_line_and_nothing_is_kept(refused, bench, lines):
    bench.run("data", "manifest", "lines", *RULE)
    text = (lines / "RFDATA00004.txt").read_text()
    (lines / "RFDATA00004.txt").write_text(text[:60_000])
    number = text[:60_000].count("\n") + 1
    refused("data", "import", "lines", "--name", "mine", said=[f"RFDATA00004.txt, line {number}: the file is cut here"])
    assert [path for path in cache_folder().rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["manifest", "lines"], "the rule must be given"),
        (["manifest", "lines", "--train", "4"], "--train expected a range such as 1-1024, got '4'"),
        (["manifest", "lines", "--train", "4-1"], "expected a range"),
        (["manifest", "lines", "--train", "1-5"], "no file of number 5"),
        (["manifest", "absent", "--train", "1-5"], "no folder absent"),
        (["manifest", "lines", "--train", "1-2", "--out", "absent/m.json"], "cannot be written"),
        (["import", "absent", "--name", "x"], "no folder absent"),
        (["import", "lines", "--name", "x"], "lines has no manifest.json or manifest.csv"),
        (["import", "lines", "--manifest", "absent.csv", "--name", "x"], "manifest absent.csv cannot be read"),
        (["export", "absent", "--out", "x"], "no data set 'absent'"),
        (["export", "lines", "--out", "x"], "no manifest"),
        (["export", "lines"], "--out"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_line(refused, lines, words, said):
    refused("data", *words, said=[said])
