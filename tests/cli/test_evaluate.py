"""`kernbench evaluate`: a network on any data set, and the published networks beside their published scores."""

import csv
import itertools
import json
import os
import re

import numpy as np
import pytest
import torch
from line_files import write_folder

from kernbench.networks.network import build
from kernbench.ulm.data.manifest import manifest_by_number, write_manifest
from kernbench.ulm.data.recipe import Recipe, load_split
from kernbench.ulm.scoring.protocol import Choice
from kernbench.ulm.srml1d.networks import save_network, save_thresholds


@pytest.fixture
def weights(bench):
    """An untrained network in the published layout, with thresholds beside it."""
    torch.manual_seed(0)
    save_network(build("dilated", "discrete", 3), bench.folder / "net" / "epoch_1249")
    choice = Choice("train", np.arange(10), np.full(10, 0.05), np.zeros(10))
    save_thresholds(choice, bench.folder / "net")
    return "net"


@pytest.fixture
def lines(bench):
    """A folder of text lines with a manifest: two training lines, two test lines."""
    folder = write_folder(bench.folder / "lines", range(1, 5))
    write_manifest(folder / "manifest.json", manifest_by_number(folder, {"train": (1, 2), "test": (3, 4)}))
    return "lines"


def rows(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def table(text, title):
    """Cells of the table below a title."""
    lines = text.split(title, 1)[1].splitlines()[2:]  # the rest of the title, and the headings
    cells = (re.split(r"\s{2,}", line.strip()) for line in lines)
    return list(itertools.takewhile(lambda row: len(row) > 1, cells))


def test_a_folder_of_lines_is_scored_and_saved(bench, weights, lines):
    ended = bench.run("evaluate", "--weights", weights, "--data", lines, "--out", "scores")
    assert ended.code == 0, ended
    assert "net on 2 test lines of data set lines" in ended.out
    shown = table(ended.out, "F1, mean over 2 lines")
    assert [row[0] for row in shown] == [str(tolerance) for tolerance in range(10)]
    assert [row[1] for row in shown][:5] == ["0", "16", "32", "48", "64"]
    assert [row[2] for row in shown][4] == "47.36"
    assert [row[3] for row in shown] == ["0.05"] * 10
    saved = rows(bench.folder / "scores" / "table.csv")
    assert [row[4] for row in shown] == [f"{float(row['f1']):.4f}" for row in saved]
    per_line = rows(bench.folder / "scores" / "lines.csv")
    assert [int(row["bubbles"]) for row in per_line] == [13, 14]
    mean = np.mean([float(row["f1_t4"]) for row in per_line])
    assert mean == pytest.approx(float(saved[4]["f1"]))
    facts = json.loads((bench.folder / "scores" / "facts.json").read_text())
    assert facts["split"] == "test"
    assert facts["noise_percent"] == 0
    assert len(facts["weights_sha256"]) == 64


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--weights", "net", "--data", "lines", "--rate", "40"), "--rate: expected 31.25, 62.5 or 125 MHz, got 40"),
        (("--published", "net", "--rate", "125"), "--published goes without --rate"),
    ],
)
def test_a_rate_that_makes_no_sense_is_refused_before_anything_is_read(bench, words, said):
    ended = bench.run("evaluate", *words, "--out", "scores")
    assert ended.code == 2, ended
    assert said in ended.err
    assert bench.files() == []


def test_the_published_network_is_scored_at_half_and_twice_the_rate(bench, weights, lines):
    for rate, taps in (("31.25", "1"), ("125", "5")):
        ended = bench.run("evaluate", "--weights", weights, "--data", lines, "--rate", rate)
        assert ended.code == 0, ended
        layers = table(ended.out, "Kernels at that rate")
        assert [row[1] for row in layers] == [taps] + ["3"] * 11
        assert [row[4] for row in layers[1:]] == ["0.00%"] * 11  # a dilated layer keeps its taps
        assert [row[0] for row in table(ended.out, "F1, mean over 2 lines")] == list("0123456789")


def test_kernels_at_another_rate_need_another_rate(bench, weights, lines):
    given = ("evaluate", "--weights", weights, "--data", lines, "--kernels", "resampled")
    for more in ((), ("--rate", "62.5")):
        ended = bench.run(*given, *more, "--out", "scores")
        assert (ended.code, "give --rate 31.25 or 125" in ended.err) == (2, True), ended
    assert not (bench.folder / "scores").exists()
    ended = bench.run(*given, "--rate", "31.25")
    assert ended.code == 0, ended
    assert [row[1] for row in table(ended.out, "Kernels at that rate, resampled")] == ["25"] + ["3"] * 11


def test_thresholds_come_from_a_file(bench, weights, lines):
    choice = Choice("x", np.array([4, 1]), np.array([0.3, 0.02]), np.zeros(2))
    save_thresholds(choice, bench.folder / "other")
    source = "other/thresholds_optimal.npy"
    ended = bench.run("evaluate", "--weights", "net/epoch_1249", "--data", lines, "--thresholds", source)
    assert ended.code == 0, ended
    shown = table(ended.out, "F1, mean over 2 lines")
    assert [(row[0], row[3]) for row in shown] == [("4", "0.3"), ("1", "0.02")]


def test_one_to_one_scores_are_beside_the_published_ones_thresholds_chosen_on_a_split(bench, weights, lines):
    words = ("--weights", weights, "--data", lines, "--threshold-split", "train", "--noise", "8", "--out", "scores")
    ended = bench.run("evaluate", *words)
    assert ended.code == 0, ended
    assert "noise 8 %" in ended.out
    assert ended.out.count("thresholds: train") == 2, ended
    shown = table(ended.out, "One to one, 2 lines")
    assert [row[0] for row in shown] == [str(tolerance) for tolerance in range(10)]
    saved = rows(bench.folder / "scores" / "matched_table.csv")
    assert [row[2] for row in shown] == [f"{float(row['f1']):.4f}" for row in saved]
    facts = json.loads((bench.folder / "scores" / "matched_facts.json").read_text())
    assert f"decoder peak-nms, width {facts['width']}; thresholds: train" in ended.out
    assert (bench.folder / "scores" / "table.csv").is_file()
    assert len(rows(bench.folder / "scores" / "matched_curves.csv")) == 6


def test_either_metric_is_left_out_on_request(bench, weights, lines):
    words = ("--weights", weights, "--data", lines)
    alone = bench.run("evaluate", *words, "--metric", "matched", "--nms-width", "3", "--out", "pairs")
    assert alone.code == 0, alone
    assert "decoder peak-nms, width 3; thresholds: stored in net" in alone.out
    assert "F1, mean over" not in alone.out
    assert not (bench.folder / "pairs" / "table.csv").exists()
    assert (bench.folder / "pairs" / "matched_table.csv").is_file()
    published = bench.run("evaluate", *words, "--metric", "dilation", "--out", "dilation")
    assert published.code == 0, published
    assert "One to one" not in published.out
    assert not (bench.folder / "dilation" / "matched_table.csv").exists()


def test_simulated_and_imported_lines_are_scored_by_digest_and_name(bench, weights, lines):
    recipe = Recipe({"test": 2}, seed=1)
    load_split(recipe, "test")
    assert bench.run("data", "import", lines, "--name", "mine").code == 0
    for data, first, said in ((recipe.digest(), "2", "2 test lines"), ("mine", "1", "1 test line")):
        ended = bench.run("evaluate", "--weights", weights, "--data", data, "--lines", first)
        assert ended.code == 0, ended
        assert f"net on {said} of data set {data}" in ended.out


SINGLE = "--weights net --data lines"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "expected --weights and --data, or --study, or --published"),
        ("--weights net", "expected --weights and --data"),
        ("--weights absent --data lines", "no weights file absent"),
        ("--weights net --data absent", "no data set 'absent'"),
        ("--weights net --data net", "never by the order of a directory"),
        (f"{SINGLE} --split tset", "no split 'tset', only train, test"),
        (f"{SINGLE} --threshold-split test", "would fit the thresholds"),
        (f"{SINGLE} --threshold-split validation", "no split 'validation'"),
        (f"{SINGLE} --thresholds x --threshold-split train", "exclude each"),
        (f"{SINGLE} --thresholds x.npy", "no file x.npy"),
        (f"{SINGLE} --noise -1", "noise level: expected a percentage"),
        (f"{SINGLE} --noise nan", "noise level: expected a percentage"),
        (f"{SINGLE} --model H", "--model goes with --published"),
        (f"{SINGLE} --out net/epoch_1249/x", "cannot be written"),
        (f"{SINGLE} --metric dilation --nms-width 2", "--nms-width goes with"),
        ("--published lines --data lines", "--published goes without --data"),
        ("--published lines --metric matched", "--published goes without --metric"),
        ("--published lines --threshold-split train", "--published goes without --threshold-split"),
        ("--published lines --plugin siren", "--published goes without --plugin"),
        ("--published lines --noise 8", "--published goes without --noise"),
        ("--published absent", "no folder absent"),
        ("--published lines", "no network to compare"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(refused, weights, lines, words, said):
    refused("evaluate", *words.split(), said=[said])


def test_windows_shorter_than_the_padding_are_refused(refused, weights):
    recipe = Recipe({"test": 1}, window=2048)
    load_split(recipe, "test")
    refused("evaluate", "--weights", weights, "--data", recipe.digest(), said=["reflects 4095 samples", "got 2048"])


def test_weights_without_thresholds_say_what_to_give(refused, bench, weights, lines):
    (bench.folder / "net" / "thresholds_optimal.npy").unlink()
    refused("evaluate", "--weights", weights, "--data", lines, said=["give --thresholds or --threshold-split"])


def test_weights_with_code_are_refused_and_not_run(refused, bench, lines):
    class Spy:
        def __reduce__(self):
            return os.mkdir, (str(bench.folder / "ran"),)

    torch.save({"model.1.weight": Spy()}, bench.folder / "weights")
    refused("evaluate", "--weights", "weights", "--data", lines, said=["holds Python code", "nothing was run"])


def test_published_networks_are_compared_with_their_published_scores(bench, reference):
    folder = str(reference / "srml1d")
    words = ("--published", folder, "--lines", "3", "--model", "HS_001", "--model", "HS_001_noise_8%")
    ended = bench.run("evaluate", *words, "--out", "tables")
    assert ended.code == 0, ended
    shown = {row[0]: row[1:] for row in table(ended.out, "HS_001: mean F1 on 3 lines")}
    published = ["0.4266", "0.7042", "0.8531", "0.9195", "0.9439", "0.9545", "0.9604", "0.9646", "0.9679", "0.9708"]
    assert shown["published"] == published
    for theirs, ours, difference in zip(published, shown["measured"], shown["difference"], strict=True):
        assert float(ours) - float(theirs) == pytest.approx(float(difference), abs=1.5e-4)
    assert float(shown["measured"][9]) > 0.9
    saved = rows(bench.folder / "tables" / "reproduction.csv")
    assert len(saved) == 20
    assert {row["network"] for row in saved} == {"HS_001", "HS_001_noise_8%"}
    with np.load(bench.folder / "tables" / "f1.npz") as f1:
        assert f1["HS_001"].shape == (10, 3)
        assert f1["HS_001"].mean(axis=1) == pytest.approx([float(row["measured"]) for row in saved[:10]])
    assert "HS_001_polydisperse left out, its thresholds are not published" in ended.out
    assert "F1 by bubbles, as Figure 8" in ended.out


@pytest.mark.slow
def test_thresholds_that_are_not_published_are_chosen_on_new_lines(bench, reference, monkeypatch):
    monkeypatch.setattr("kernbench.cli.evaluate.THRESHOLD_LINES", 64)  # a quarter: most of the time goes into them
    words = ("--published", str(reference / "srml1d"), "--lines", "48", "--model", "HS_001_polydisperse")
    ended = bench.run("evaluate", *words, "--out", "tables")
    assert ended.code == 0, ended
    for row in rows(bench.folder / "tables" / "reproduction.csv"):
        assert abs(float(row["difference"])) < 4 * float(row["standard_error"]), row
