"""One-to-one scores of an output, its errors against labels and arrivals, and the files of both."""

import csv
import json

import numpy as np
import pytest
from test_scorecard import choice as stored

from kernbench.errors import DataError
from kernbench.ulm.data.find import Content, find_set
from kernbench.ulm.data.recipe import Recipe, Split, load_split
from kernbench.ulm.evaluation.noise import Noise
from kernbench.ulm.evaluation.pair_card import (
    choose_pairs,
    content_arrivals,
    matched_card,
    matched_curve,
    save_matched,
    stored_pairs,
    table_columns,
)
from kernbench.ulm.evaluation.rates import moved_points
from kernbench.ulm.evaluation.scorecard import first_lines
from kernbench.ulm.evaluation.workbench import Workbench
from kernbench.ulm.pairing.points import Points


def split(lines=4, name="test", seed=0):
    """Lines with a bubble every 20 to 30 samples; the last line is empty."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((lines, 600), np.uint8)
    for line in counts[:-1]:
        line[np.cumsum(rng.integers(20, 30, 20))] = 1
    bubbles = counts.sum(axis=1, dtype=np.int64)
    return Split(name, counts * np.float32(1), counts, bubbles, np.linspace(1e4, 2e5, lines), np.zeros(lines, np.int64))


def test_a_late_output_pays_with_its_delay_in_rmse_and_bias():
    lines = split()
    output = np.roll(lines.voltage, 3, axis=1)
    card = matched_card(output, lines, stored_pairs(stored(), None))
    none, _, all_ = card.rows
    assert (none.f1, none.precision, none.recall, none.jaccard) == (0, 0, 0, 0)
    assert np.isnan(none.rmse_samples)
    assert (all_.f1, all_.precision, all_.recall, all_.jaccard) == (1, 1, 1, 1)
    assert (all_.rmse_samples, all_.bias_samples) == (3, 3)
    assert all_.rmse_um == pytest.approx(3 * 11.84)
    assert not card.arrivals
    assert np.isnan(all_.arrival_rmse_samples)


def test_scores_are_those_of_the_counts_by_hand():
    lines = split(lines=3)
    output = lines.voltage.copy()
    output[0, np.flatnonzero(lines.counts[0])[:5]] = 0  # five of twenty missed
    output[1, np.flatnonzero(lines.counts[1])[:10] + 10] = 1  # ten false alarms beside twenty pairs
    row = matched_card(output, lines, stored_pairs(stored((4,)), 2)).rows[0]
    assert row.f1 == pytest.approx((30 / 35 + 40 / 50) / 2)
    assert row.jaccard == pytest.approx((15 / 20 + 20 / 30) / 2)
    assert (row.precision, row.recall) == pytest.approx((35 / 45, 35 / 40))


def test_width_and_thresholds_are_fitted_unless_the_width_is_given():
    lines = split(name="train")
    output = lines.voltage * np.float32(0.3)
    output[:, 5:] += np.float32(0.2) * lines.voltage[:, :-5]  # an echo, silenced by a width of 5
    fitted = choose_pairs(output, lines, None)
    assert fitted.split == "train"
    assert fitted.mean_f1 == pytest.approx(1)
    given = choose_pairs(output, lines, 3)
    assert given.decoder.width == 3
    assert stored_pairs(stored(), None).decoder.width == 0
    assert np.isnan(stored_pairs(stored(), 7).mean_f1).all()


@pytest.mark.parametrize("window", [None, 3000])
def test_arrivals_of_simulated_lines_are_within_half_a_sample_of_their_labels(window):
    recipe = Recipe({"test": 3}, window=window, seed=4)
    load_split(recipe, "test")
    content = find_set(recipe.digest()).content("test")
    arrivals = content_arrivals(content, content.split)
    assert arrivals.per_line.tolist() == content.split.counts.sum(axis=1).tolist()
    line, sample = np.nonzero(content.split.counts)
    times = content.split.counts[line, sample]
    assert np.array_equal(arrivals.line, np.repeat(line, times))
    error = arrivals.sample - np.repeat(sample, times)
    assert np.abs(error).max() <= 0.5
    assert error.std() == pytest.approx(0.289, abs=0.03)


@pytest.mark.parametrize("delay", [0, 42, 43])
@pytest.mark.parametrize("factor", [0.5, 1, 2])
def test_arrivals_of_the_scored_bubbles_move_with_delay_and_rate(factor, delay):
    recipe = Recipe({"test": 3}, window=800, seed=4)
    load_split(recipe, "test")
    content = find_set(recipe.digest()).content("test")
    scored = Workbench({"test": content.split}, Noise(), factors={"test": factor}, delay=delay).at_its_rate("test")
    arrivals = moved_points(content_arrivals(content, content.split, delay, factor), factor)
    assert arrivals.per_line.tolist() == scored.counts.sum(axis=1).tolist()
    line, sample = np.nonzero(scored.counts)
    error = arrivals.sample - np.repeat(sample, scored.counts[line, sample])
    rounding = 0.5 * factor + (0.5 if factor < 1 else 0)  # to samples of training, and to those of half the rate
    assert np.abs(error).max() <= rounding


def test_errors_against_arrivals_are_beside_those_against_labels():
    lines = split()
    line, sample = np.nonzero(lines.counts)
    arrivals = Points(line, sample + 0.25, len(lines.counts))
    assert content_arrivals(Content(lines, None, None), lines) is None  # positions are not known
    card = matched_card(lines.voltage, lines, stored_pairs(stored(), 0), arrivals)
    assert [row.rmse_samples for row in card.rows] == [0, 0, 0]
    assert [row.arrival_recall for row in card.rows] == [0, 1, 1]
    assert card.rows[1].arrival_rmse_samples == pytest.approx(0.25)
    assert card.rows[1].arrival_rmse_um == pytest.approx(2.96)
    names, rows = table_columns(card)
    assert {len(names)} == {len(row) for row in rows} == {10}


def test_files_hold_scores_curves_and_where_they_come_from(tmp_path):
    lines = split()
    output = np.roll(lines.voltage, 1, axis=1)
    choice = stored_pairs(stored(), 2)
    card = matched_card(output, lines, choice)
    # Below every score the empty line has one detection, its plateau: precision and recall would meet there already.
    curve = matched_curve(output[:3], first_lines(lines, 3), choice.decoder)
    files = save_matched(card, curve, lines, tmp_path / "new", {"data": "abc"})
    assert all(path.is_file() for path in files)
    table, per_line, curves = (list(csv.DictReader(path.read_text().splitlines())) for path in files[:3])
    assert [float(row["f1"]) for row in table] == [0, 1, 1]
    assert [row["f1_t4"] for row in per_line] == ["1.0", "1.0", "1.0", "nan"]
    assert [float(row["average_precision"]) for row in curves] == pytest.approx([0, 1, 1, 1, 1, 1])
    assert [float(row["break_even"]) for row in curves][1:] == pytest.approx([1] * 5)
    with np.load(files[3]) as arrays:
        assert np.array_equal(arrays["tp"], card.evaluation.tp)
    origin = {"threshold_split": "by hand", "decoder": "peak-nms", "width": 2, "curve_average": "macro-exact"}
    assert json.loads(files[4].read_text()) == {"data": "abc"} | origin
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        save_matched(card, curve, lines, tmp_path / "file" / "out", {})
