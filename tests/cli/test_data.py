"""`kernbench data`: manifest, import, export and info."""

import numpy as np
import pytest
import torch
from line_files import write_folder

from kernbench.networks.network import build
from kernbench.ulm.data.cache import cache_folder
from kernbench.ulm.data.manifest import read_manifest
from kernbench.ulm.data.recipe import Recipe, load_split
from kernbench.ulm.scoring.protocol import Choice
from kernbench.ulm.srml1d.networks import save_network, save_thresholds

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


def test_the_folders_of_the_publisher_are_the_splits(bench):
    numbers = {"TRAINING": range(1, 4), "Validation": range(4, 6), "TESTING": range(6, 12)}
    for name, each in numbers.items():
        write_folder(bench.folder / "published" / name, each)
        (bench.folder / "published" / name / "simulationDescriptives.txt").write_text("Nb, PA\n")
        (bench.folder / "published" / name / f"._RFDATA{each[0]:05d}.txt").write_bytes(b"\x00\x05\x16\x07")
    made = bench.run("data", "manifest", "published")
    assert made.code == 0, made
    assert "11 lines, folders TRAINING, VALIDATION, TESTING" in made.out
    lines = read_manifest(bench.folder / "published" / "manifest.json").lines
    assert [line.file for line in lines] == [
        f"{name}/RFDATA{number:05d}.txt" for name, each in numbers.items() for number in each
    ]
    imported = bench.run("data", "import", "published", "--name", "mine")
    assert "train 3, validation 2, test 6 lines" in imported.out
    some = bench.run("data", "manifest", "published", "--train", "1-2", "--test", "7-8", "--out", "some.json")
    assert "4 lines, number in the file name: train 1-2, test 7-8" in some.out
    refused = bench.run("data", "manifest", "published", "--train", "3-4")
    assert refused.code == 2
    assert "TRAINING: no file of number 4 (.txt), asked for by train" in refused.err


def test_lines_of_another_rate_say_so_and_lines_without_pressure_are_scored(bench, lines):
    head = '"Generated with a test"\n"Number of bubbles:",1\n"Bubble count","Voltage (a.u)"\n'
    for number, path in enumerate(sorted(lines.iterdir())):
        rows = (f"{int(n == 3000)},{np.sin(n * (0.1 + number / 50)):.6f}\n" for n in range(5406))
        path.write_text(head + "".join(rows))
    made = bench.run("data", "manifest", "lines", *RULE, "--rate", "40")
    assert made.code == 0, made
    assert "test 3-4; to be resampled from 40 MHz" in made.out
    imported = bench.run("data", "import", "lines", "--name", "mine")
    assert "lines: resampled from 40 to 62.5 MHz" in imported.out
    assert "test 3-4; resampled from 40 to 62.5 MHz" in bench.run("data", "info").out
    torch.manual_seed(0)
    save_network(build("dilated", "discrete", 3), bench.folder / "net" / "epoch_1249")
    save_thresholds(Choice("train", np.arange(10), np.full(10, 0.05), np.zeros(10)), bench.folder / "net")
    ended = bench.run("evaluate", "--weights", "net", "--data", "mine", "--out", "scores")
    assert ended.code == 0, ended
    assert "net on 2 test lines of data set mine" in ended.out


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
        (["manifest", "lines"], "say which files are of which split: --train 1-1024 and so on"),
        (["manifest", "lines", "--train", "4"], "--train expected a range such as 1-1024, got '4'"),
        (["manifest", "lines", "--train", "4-1"], "expected a range"),
        (["manifest", "lines", "--train", "1-5"], "no file of number 5"),
        (["manifest", "lines", "--train", "1-2", "--rate", "40e6"], "--rate expected a sampling rate of 5 to 1000 MHz"),
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
