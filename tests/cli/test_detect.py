"""`kernbench detect`: a trained network on lines without labels."""

import csv
import json

import numpy as np
import pytest
import scipy.io
import small_weights
import torch
from line_files import recorded_line, write_folder

from kernbench.networks.network import build
from kernbench.networks.weights import save_weights
from kernbench.ulm.data.manifest import manifest_by_number, write_manifest
from kernbench.ulm.data.recipe import Recipe, load_split
from kernbench.ulm.scoring.protocol import Choice
from kernbench.ulm.srml1d.networks import save_network, save_thresholds

OUT = ("--out", "found")


@pytest.fixture
def weights(bench):
    """A small network as a cell leaves it: thresholds 0.1 to 0.19 at tolerances 0 to 9, width 2."""
    torch.manual_seed(0)
    network = small_weights.used(build("shallow", "siren", 9, 4))
    save_weights(bench.folder / "weights.pt", network, small_weights.facts_of(network, "shallow"))
    return "weights.pt"


@pytest.fixture
def lines(bench):
    """Three text lines with a manifest; test lines only."""
    folder = write_folder(bench.folder / "lines", range(1, 4))
    write_manifest(folder / "manifest.json", manifest_by_number(folder, {"test": (1, 3)}))
    return "lines"


def rows(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def voltages(numbers=(1, 2, 3)):
    return np.stack([recorded_line(number).voltage for number in numbers])


def found(bench, *words):
    """Detections of a command that goes well, and its folder removed, so that it can be given again."""
    ended = bench.run("detect", *words, *OUT)
    assert ended.code == 0, ended
    folder = bench.folder / "found"
    table = rows(folder / "detections.csv")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return table


def places(table):
    return [(row["sample"], row["score"]) for row in table]


def test_a_delay_is_taken_out_of_the_detections(bench, weights, lines):
    usual = found(bench, lines, "--weights", weights)
    path = bench.folder / weights
    small_weights.changed(path, lambda content: content["facts"].update(delay=43))
    late = found(bench, lines, "--weights", weights)
    assert late
    # an output at sample n speaks of a bubble at n - 43; the first 43 are of none
    assert {(int(row["sample"]) + 43, row["score"]) for row in late} <= {(int(n), score) for n, score in places(usual)}


@pytest.mark.parametrize(("percent", "said"), [(0.0, True), (8.0, False)])
def test_a_network_that_never_met_noise_is_said_to_take_it_for_bubbles(bench, weights, lines, percent, said):
    small_weights.changed(bench.folder / weights, lambda content: content["facts"]["noise"].update(percent=percent))
    ended = bench.run("detect", lines, "--weights", weights, *OUT)
    assert ("note: trained on lines without noise" in ended.out) is said, ended


@pytest.mark.parametrize("tolerance", [4, 0])
def test_detections_are_those_that_evaluate_counts_on_the_same_lines(bench, weights, tolerance):
    recipe = Recipe({"test": 4}, window=2048, seed=1)
    starts = load_split(recipe, "test").starts
    words = ("--weights", weights, "--data", recipe.digest(), "--noise", "0", "--out", "scores")
    assert bench.run("evaluate", *words).code == 0
    with np.load(bench.folder / "scores" / "matched_scores.npz") as scores:
        counted = (scores["tp"] + scores["fp"])[tolerance]
    ended = bench.run("detect", recipe.digest(), "--weights", weights, "--tolerance", str(tolerance), *OUT)
    assert ended.code == 0, ended
    assert f"stored for a tolerance of {tolerance} samples, chosen on validation lines" in ended.out
    assert f"{counted.sum()} detections on 4 lines" in ended.out
    counts = rows(bench.folder / "found" / "counts.csv")
    assert [int(row["detections"]) for row in counts] == counted.tolist()
    assert counted.min() > 5
    table = rows(bench.folder / "found" / "detections.csv")
    assert len(table) == counted.sum()
    for row in table:
        assert float(row["score"]) > 0.1 + 0.01 * tolerance
        time = (starts[int(row["line"])] + int(row["sample"])) * 0.016
        assert float(row["time_us"]) == pytest.approx(time, abs=1e-4)
        assert float(row["depth_mm"]) == pytest.approx(0.74 * time, abs=1e-5)
    assert (bench.folder / "found" / "detections.png").read_bytes().startswith(b"\x89PNG")
    facts = json.loads((bench.folder / "found" / "facts.json").read_text())
    assert facts["threshold"] == pytest.approx(0.1 + 0.01 * tolerance)
    assert (facts["decoder"], facts["width"]) == ("peak-nms", 2)


def test_the_headline_tolerance_is_meant_unless_another_is_named(bench, weights, lines):
    table = found(bench, lines, "--weights", weights)
    assert table == found(bench, lines, "--weights", weights, "--tolerance", "4")
    assert table == found(bench, lines, "--weights", weights, "--threshold", "0.14")
    assert len(found(bench, lines, "--weights", weights, "--threshold", "1e9")) == 0


def test_labels_are_not_read_and_every_layout_of_the_same_lines_gives_the_same_detections(bench, weights, lines):
    expected = found(bench, lines, "--weights", weights)
    assert {row["line"] for row in expected} == {f"RFDATA0000{number}.txt" for number in (1, 2, 3)}
    assert bench.run("data", "import", lines, "--name", "mine").code == 0
    np.save(bench.folder / "lines.npy", voltages())
    elements = np.zeros((1, 3), dtype=[("V", "O"), ("fs", "O")])
    elements[0] = [(line.astype(np.float64)[None], 62.5e6) for line in voltages()]
    scipy.io.savemat(bench.folder / "lines.mat", {"RF": elements})
    for number, line in enumerate(voltages(), 1):
        np.savetxt(bench.folder / f"plain{number}.csv", line)
        times = np.arange(len(line)) / 62.5e6
        np.savetxt(bench.folder / f"timed{number}.txt", np.stack([times, line], axis=1), header="t V", fmt="%.12g")
    for words in (["mine"], ["lines.npy"], ["lines.mat"], [f"plain{n}.csv" for n in (1, 2, 3)]):
        assert places(found(bench, *words, "--weights", weights)) == places(expected), words
    timed = [f"timed{number}.txt" for number in (1, 2, 3)]
    assert places(found(bench, *timed, "--weights", weights)) == places(expected)
    second = found(bench, "lines/RFDATA00002.txt", "--weights", weights)
    for file in ("lines.mat", "lines.npy"):
        assert places(found(bench, file, "--weights", weights, "--channel", "2")) == places(second)


def test_integers_are_said_and_scaled(bench, weights):
    whole = np.round(voltages() * 1000).astype(np.int16)
    np.save(bench.folder / "whole.npy", whole)
    ended = bench.run("detect", "whole.npy", "--weights", weights, "--out", "whole")
    assert ended.code == 0, ended
    assert "lines: stored as int16, read as float32" in ended.out
    assert "the lines have an RMS of 9.97e+03 (median), simulated ones 1 to 60 a.u." in ended.err
    np.save(bench.folder / "scaled.npy", whole.astype(np.float32) * np.float32(0.001))
    expected = found(bench, "scaled.npy", "--weights", weights)
    scaled = bench.run("detect", "whole.npy", "--weights", weights, "--scale", "0.001", "--out", "scaled")
    assert scaled.err == "", scaled
    assert places(rows(bench.folder / "scaled" / "detections.csv")) == places(expected)


def test_files_that_a_mac_adds_are_no_lines_and_line_2_comes_before_line_10(bench, weights, lines):
    for number, name in ((1, "line10.npy"), (2, "line2.npy")):
        (bench.folder / "mac").mkdir(exist_ok=True)
        np.save(bench.folder / "mac" / name, recorded_line(number).voltage)
        (bench.folder / "mac" / f"._{name}").write_bytes(b"\x00\x05\x16\x07")
    table = found(bench, "mac", "--weights", weights)
    assert list(dict.fromkeys(row["line"] for row in table)) == ["line2.npy", "line10.npy"]


def test_lines_of_different_lengths_go_through_the_network_each_as_it_is(bench, weights):
    np.save(bench.folder / "a.npy", recorded_line(1).voltage)
    np.save(bench.folder / "b.npy", recorded_line(2).voltage[:5000])
    together = found(bench, "a.npy", "b.npy", "--weights", weights)
    apart = [row for name in ("a.npy", "b.npy") for row in found(bench, name, "--weights", weights)]
    assert [(row["line"], row["sample"]) for row in together] == [(row["line"], row["sample"]) for row in apart]


def test_a_published_network_has_its_thresholds_beside_it(bench, lines):
    torch.manual_seed(0)
    save_network(build("dilated", "discrete", 3), bench.folder / "net" / "epoch_1249")
    save_thresholds(Choice("train", np.arange(10), np.full(10, 0.05), np.zeros(10)), bench.folder / "net")
    ended = bench.run("detect", "lines/RFDATA00001.txt", "--weights", "net", "--nms-width", "3", *OUT)
    assert ended.code == 0, ended
    assert "threshold 0.05, stored for a tolerance of 4 samples; decoder" in ended.out
    assert "decoder peak-nms, width 3" in ended.out


def test_a_picture_that_fails_is_a_warning(bench, weights, lines, monkeypatch):
    monkeypatch.setattr("kernbench.plotting.style.save_png", lambda *_args, **_options: 1 / 0)
    ended = bench.run("detect", lines, "--weights", weights, *OUT)
    assert ended.code == 0, ended
    assert "no picture: ZeroDivisionError" in ended.err
    assert {path.name for path in (bench.folder / "found").iterdir()} == {"detections.csv", "counts.csv", "facts.json"}


GIVEN = "--weights weights.pt --out found"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (f"{GIVEN}", "Missing argument 'LINES...'"),
        ("lines --weights weights.pt", "Missing option '--out'"),
        ("lines --out found", "expected --weights or --study"),
        ("lines --weights absent --out found", "no weights file absent"),
        (f"lines {GIVEN} --study k_sweep", "--weights and --study exclude each other"),
        (f"lines {GIVEN} --kernel-size 9", "--kernel-size and --only go with --study"),
        (f"lines {GIVEN} --tolerance 77", "tolerance 77 was not evaluated"),
        (f"lines {GIVEN} --tolerance 4 --threshold 1", "exclude each other"),
        (f"lines {GIVEN} --threshold nan", "--threshold expected a number"),
        (f"lines {GIVEN} --scale 0", "--scale expected a number that is not 0"),
        (f"lines {GIVEN} --scale nan", "--scale expected a number that is not 0"),
        (f"lines {GIVEN} --rate 62500000", "--rate expected a sampling rate of 5 to 1000 MHz, got 6.25e+13 Hz"),
        (f"lines {GIVEN} --rate nan", "--rate expected a sampling rate of 5 to 1000 MHz"),
        (f"lines {GIVEN} --channel 2", "RFDATA00001.txt: a text file has one line, got --channel 2"),
        (f"absent {GIVEN}", "no data set 'absent'"),
        (f"weights.pt {GIVEN}", "expected a file .mat, .npy, .txt, .csv"),
        (f"empty {GIVEN}", "folder empty has no files .mat, .npy, .txt, .csv; give one of the folders in it: TESTING"),
        (f"bad/nan.npy {GIVEN}", "nan.npy: channel 1 has NaN"),
        (f"bad/cube.npy {GIVEN}", "expected real numbers (samples,) or (lines, samples), got float64 (2, 2, 2)"),
        (f"bad/cut.npy {GIVEN}", "cut.npy is not a complete NumPy array"),
        (f"bad/pickle.npy {GIVEN}", "pickle.npy is not a complete NumPy array"),
        (f"bad/short.npy {GIVEN}", "lines need at least"),
        (f"bad/none.npy {GIVEN}", "none.npy: expected lines of samples, got 0"),
        (f"bad/empty.npy {GIVEN}", "empty.npy: expected one line or more, got none"),
        (f"bad/two.npy {GIVEN} --channel 3", "two.npy: 2 lines in it, got --channel 3"),
        (f"bad/words.txt {GIVEN}", "words.txt: no row of numbers among its first 20 lines"),
        (f"bad/hole.txt {GIVEN}", "hole.txt, line 3: expected 1 numbers as in line 1, got ''"),
        (f"bad/word.txt {GIVEN}", "word.txt, line 2: expected numbers, got 'x'"),
        (f"bad/two.txt {GIVEN}", "two.txt: expected one column (voltage), two (time in s"),
        (f"bad/us.txt {GIVEN}", "us.txt: column of times in s expected a sampling rate of 5 to 1000 MHz, got 62.5 Hz"),
        (f"bad/mhz.mat {GIVEN}", "mhz.mat: RF.fs expected a sampling rate of 5 to 1000 MHz, got 62.5 Hz"),
        (f"bad/other.mat {GIVEN}", "other.mat: no struct RF in it"),
        (f"bad/rate.mat {GIVEN} --rate 40", "rate.mat: RF.fs says 62.5 MHz, --rate 40; leave --rate out"),
        (f"bad/rate.mat {GIVEN} --channel 2", "rate.mat: RF has 1 channels, got --channel 2"),
        ("lines --weights weights.pt --out lines", "--out lines is there already; give a new folder"),
        ("lines --weights weights.pt --out weights.pt/x", "cannot be written"),
    ],
)
def test_what_cannot_be_detected_on_is_one_line(refused, bench, weights, lines, words, said):
    bad = bench.folder / "bad"
    bad.mkdir()
    (bench.folder / "empty" / "TESTING").mkdir(parents=True)
    line = recorded_line(1).voltage.astype(np.float64)
    np.save(bad / "nan.npy", np.full(9000, np.nan))
    np.save(bad / "cube.npy", np.zeros((2, 2, 2)))
    np.save(bad / "pickle.npy", np.array([{}]), allow_pickle=True)
    np.save(bad / "short.npy", line[:8])
    np.save(bad / "none.npy", line[:0])
    np.save(bad / "empty.npy", np.zeros((0, 100)))
    np.save(bad / "two.npy", np.stack([line, line]))
    (bad / "cut.npy").write_bytes((bad / "two.npy").read_bytes()[:-9])
    (bad / "words.txt").write_text("RF\nlines\n")
    (bad / "hole.txt").write_text("1\n2\n\n3\n")
    (bad / "word.txt").write_text("1\nx\n3\n")
    (bad / "two.txt").write_text("1 5\n0 6\n2 7\n")
    (bad / "us.txt").write_text("".join(f"{0.016 * n:.6f},{n % 7}\n" for n in range(100)))
    scipy.io.savemat(bad / "mhz.mat", {"RF": {"V": line, "fs": 62.5}})
    scipy.io.savemat(bad / "rate.mat", {"RF": {"V": line, "fs": 62.5e6}})
    scipy.io.savemat(bad / "other.mat", {"rf": line})
    refused("detect", *words.split(), said=[said])
