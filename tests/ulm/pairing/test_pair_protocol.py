"""The one-to-one metric as a protocol, against the tables of protocol 5.3 and one threshold at a time."""

import numpy as np
import pytest

from kernbench.errors import DataError
from kernbench.ulm.pairing.decoders import Decoder, decode
from kernbench.ulm.pairing.localization import position_error
from kernbench.ulm.pairing.matching import closest_pairs, reach, sweep
from kernbench.ulm.pairing.points import label_points, points
from kernbench.ulm.pairing.protocol import choose_matched, evaluate_matched, pair_table
from kernbench.ulm.scoring.floors import comb
from kernbench.ulm.scoring.protocol import THRESHOLDS, score

DECODERS = [Decoder("raw"), Decoder("run"), Decoder("run", place="centroid"), Decoder("peak-nms", 3)]


def detected(counts, shifts):
    """A prediction of ones at the truths, each moved by every shift, (truths,) or a number."""
    truths, z = label_points(counts), np.zeros(counts.shape, np.float32)
    for shift in shifts:
        place = np.rint(truths.sample + shift).astype(int)
        inside = (place >= 0) & (place < counts.shape[1])
        z[truths.line[inside], place[inside]] = 1
    return z


def both_metrics(z, counts):
    """Mean F1 at t = 4: dilation, one-to-one."""
    matched = pair_table(z, label_points(counts), Decoder("raw"), [4], [0.5]).mean_f1.item()
    return score(z, counts, [4], [0.5]).mean_f1.item(), matched


@pytest.mark.parametrize(("width", "matched"), [(2, 0.6816), (3, 0.5254), (5, 0.3716), (9, 0.2517)])
def test_wide_spikes_of_the_protocol(published_counts, width, matched):
    z = detected(published_counts, range(-((width - 1) // 2), width // 2 + 1))
    assert both_metrics(z, published_counts) == pytest.approx((1, matched), abs=0.001)


@pytest.mark.parametrize(
    ("sd", "dilation", "matched"),
    [(1, 1.0, 0.988), (2, 0.9857, 0.9681), (3, 0.9216, 0.8879), (4, 0.8475, 0.7978), (6, 0.7345, 0.6674)],
)
def test_jitter_of_the_protocol(published_counts, sd, dilation, matched):
    noise = np.random.default_rng(sd).normal(0, sd, int((published_counts > 0).sum()))
    assert both_metrics(detected(published_counts, [noise]), published_counts) == pytest.approx(
        (dilation, matched), abs=0.003
    )


def test_perfect_single_samples_cannot_find_bubbles_that_share_one(published_counts):
    z = (published_counts > 0).astype(np.float32)
    table = pair_table(z, label_points(published_counts, multiplicity=True), Decoder("raw"), [0], [0.5])
    assert table.mean_f1.item() == pytest.approx(0.983, abs=0.001)


# Protocol 5.4, at the published bubble numbers: spacing and F1 at t = 0..9.
SPACINGS = (1, 3, 5, 7, 9, 9, 9, 10, 12, 14)
COMB = (0.1187, 0.2863, 0.3932, 0.4621, 0.5067, 0.5385, 0.5646, 0.5889, 0.6047, 0.6107)


def test_combs_of_the_protocol(published_counts):
    truths, shape = label_points(published_counts), published_counts.shape
    combs = [np.broadcast_to(comb(shape[1], step), shape) for step in SPACINGS]
    tables = [pair_table(teeth, truths, Decoder("raw"), [t], [0.5]) for t, teeth in enumerate(combs)]
    assert [table.mean_f1.item() for table in tables] == pytest.approx(COMB, abs=0.002)


def test_rounding_error_of_labels_against_arrivals(published_arrivals, published_counts):
    truths = points(published_arrivals)
    error = position_error(closest_pairs(label_points(published_counts, multiplicity=True), truths, 0.5))
    assert error.recall == 1
    assert error.samples.rmse == pytest.approx(0.289, abs=0.001)
    assert error.um.rmse == pytest.approx(3.42, abs=0.01)


@pytest.fixture
def noisy():
    """A prediction that knows where the bubbles are, roughly; the last line holds nothing at all."""
    rng = np.random.default_rng(4)
    counts = rng.poisson(0.05, (6, 700))
    counts[5] = 0
    hills = np.apply_along_axis(np.convolve, 1, counts, [0.3, 1, 0.4], "same")
    z = (hills * rng.uniform(0.2, 1, hills.shape) + rng.normal(0, 0.05, hills.shape)).clip(0)
    z[5] = 0
    return z.astype(np.float32), counts


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
def test_table_equals_one_threshold_at_a_time(noisy, decoder):
    z, counts = noisy
    truths = label_points(counts)
    table = pair_table(z, truths, decoder, [0, 1, 4], THRESHOLDS)
    for j, threshold in enumerate(THRESHOLDS):
        found = decode(z, threshold, decoder).points
        assert np.array_equal(table.tp[:, j], sweep(reach(found, truths, [0, 1, 4]), truths))
        assert np.array_equal(table.fp[:, j] + table.tp[:, j], np.tile(found.per_line, (3, 1)))
        assert np.array_equal(table.fn[:, j] + table.tp[:, j], np.tile(truths.per_line, (3, 1)))
        f1 = 2 * table.tp[:, j, :5] / (found.per_line + truths.per_line)[:5]
        assert table.mean_f1[:, j] == pytest.approx(f1.mean(axis=1))


def test_choice_is_the_best_width_and_the_first_best_threshold(noisy):
    z, counts = noisy
    truths = label_points(counts)
    choice = choose_matched(z, truths, "train", Decoder(), widths=(0, 2, 9), tolerances=[0, 4])
    tables = {width: pair_table(z, truths, Decoder(width=width), [0, 4], THRESHOLDS) for width in (0, 2, 9)}
    best = max(tables, key=lambda width: tables[width].mean_f1[1].max())
    assert (choice.decoder, choice.split) == (Decoder(width=best), "train")
    rows = tables[best].mean_f1
    assert choice.thresholds.tolist() == [THRESHOLDS[row.argmax()] for row in rows]
    assert choice.mean_f1 == pytest.approx(rows.max(axis=1))


def test_evaluation_reads_the_frozen_choice(noisy):
    z, counts = noisy
    truths = label_points(counts)
    choice = choose_matched(z[:3], label_points(counts[:3]), "train", Decoder(), (0, 2), tolerances=[0, 2, 4])
    result = evaluate_matched(z, truths, choice)
    for i, (tolerance, threshold) in enumerate(zip(choice.tolerances, choice.thresholds, strict=True)):
        found = decode(z, threshold, choice.decoder).points
        assert np.array_equal(result.tp[i], sweep(reach(found, truths, [tolerance]), truths)[0])
        assert np.array_equal(result.fp[i], found.per_line - result.tp[i])
        assert position_error(result.pairs[i]).samples.rmse <= tolerance
    assert np.isnan(result.f1[:, 5]).all()
    assert result.summary.empty.tolist() == [1, 1, 1]
    assert result.summary.mean == pytest.approx(np.nanmean(result.f1, axis=1))


def test_bad_arguments_are_refused(noisy):
    z, counts = noisy
    truths = label_points(counts)
    with pytest.raises(DataError, match="at least one: got none"):
        pair_table(z, truths, Decoder(), [4], [])
    with pytest.raises(DataError, match="cover 3 lines, truths 6"):
        pair_table(z[:3], truths, Decoder(), [4])
    with pytest.raises(DataError, match="has no width"):
        choose_matched(z, truths, "train", Decoder("run"), (0, 1))
