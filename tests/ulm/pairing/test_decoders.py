"""Decoders against scipy.signal, scipy.ndimage and a literal greedy loop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from scipy.signal import find_peaks

from kernbench.errors import DataError
from kernbench.ulm.pairing.decoders import Decoder, decode, decode_each, suppress
from kernbench.ulm.pairing.points import label_points

# Few distinct values: plateaus and ties are common.
LEVELS = [-1.0, 0.0, 0.1, 0.25, 0.5, 1.4]


@st.composite
def outputs(draw):
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 40)))
    return draw(arrays(np.float32, shape, elements=st.sampled_from(LEVELS)))


def by_line(detections):
    found = detections.points
    return [found.sample[found.line == line].tolist() for line in range(found.lines)]


def literal_peaks(z, threshold, width):
    """Visit local maxima by falling score, ties by index; keep one if none kept is within the width.

    Of a plateau scipy takes the centre, rounded down.
    """
    peaks, _ = find_peaks(np.pad(z.astype(float), 1, constant_values=-9.0))  # the ends can be maxima
    kept = []
    for peak in sorted(peaks - 1, key=lambda n: (-z[n], n)):
        if z[peak] > np.float32(threshold) and all(abs(peak - other) > width for other in kept):
            kept.append(peak)
    return sorted(kept)


@settings(max_examples=200)
@given(outputs(), st.sampled_from([-2.0, 0.0, 0.1, 0.3]), st.integers(0, 6))
def test_peaks_agree_with_a_literal_greedy_loop(z, threshold, width):
    found = decode(z, threshold, Decoder("peak-nms", width))
    assert by_line(found) == [literal_peaks(line, threshold, width) for line in z]
    assert np.array_equal(found.score, z[found.points.line, found.points.sample.astype(int)])


@pytest.mark.parametrize("width", [0, 1, 4, 9, 30])
def test_peaks_agree_with_scipy_on_scores_without_ties(width):
    z = np.random.default_rng(width).normal(size=(4, 3000)).astype(np.float32)
    for line, found in zip(z, by_line(decode(z, 0.2, Decoder("peak-nms", width))), strict=True):
        padded = np.pad(line.astype(float), 1, constant_values=-9.0)
        expected, _ = find_peaks(padded, height=float(np.float32(0.2)), distance=width + 1)
        assert found == (expected - 1).tolist()


@settings(max_examples=100)
@given(outputs(), st.lists(st.sampled_from([-2.0, 0.0, 0.1, 0.3]), min_size=1), st.integers(0, 6))
def test_one_pass_serves_all_thresholds(z, thresholds, width):
    for decoder in (Decoder("peak-nms", width), Decoder("raw"), Decoder("run")):
        each = decode_each(z, thresholds, decoder)
        for found, threshold in zip(each, thresholds, strict=True):
            assert by_line(found) == by_line(decode(z, threshold, decoder))
        if decoder.nested:
            lowest = decode(z, min(thresholds), decoder)
            counted = [int((lowest.score > np.float32(threshold)).sum()) for threshold in thresholds]
            assert counted == [len(found.points) for found in each]


@settings(max_examples=200)
@given(outputs(), st.sampled_from([0.0, 0.1, 0.3]))
def test_runs_agree_with_ndimage(z, threshold):
    at_maximum = by_line(decode(z, threshold, Decoder("run")))
    at_centroid = by_line(decode(z, threshold, Decoder("run", place="centroid")))
    for line, peaks, centres in zip(z.astype(float), at_maximum, at_centroid, strict=True):
        labels, runs = ndimage.label(line > float(np.float32(threshold)))
        index = range(1, runs + 1)
        # Of equal maxima the first; ndimage.maximum_position leaves that open.
        stretches = [np.flatnonzero(labels == number) for number in index]
        assert peaks == [stretch[line[stretch].argmax()] for stretch in stretches]
        assert centres == pytest.approx([place for (place,) in ndimage.center_of_mass(line, labels, index)])


@settings(max_examples=50)
@given(outputs(), st.sampled_from([-2.0, 0.0, 0.1, 0.3]))
def test_raw_is_every_sample_above(z, threshold):
    expected = [np.flatnonzero(line > np.float32(threshold)).tolist() for line in z]
    assert by_line(decode(z, threshold, Decoder("raw"))) == expected


def test_a_long_ramp_of_peaks_is_decided_from_its_top():
    z = np.zeros((1, 400))
    z[0, ::2] = np.arange(1, 201)
    assert by_line(decode(z, 0, Decoder("peak-nms", 3)))[0] == list(range(2, 400, 4))


def test_torch_and_channels_give_the_same():
    z = np.random.default_rng(0).normal(size=(2, 50)).astype(np.float32)
    expected = by_line(decode(z, 0.1, Decoder("peak-nms", 2)))
    assert by_line(decode(torch.tensor(z)[:, None], 0.1, Decoder("peak-nms", 2))) == expected


# Protocol 5.3: perfect labels, thinned at the published densities, t = 4; F1 of n kept out of N is 2 n / (n + N).
THINNED = {0: 1.000, 1: 0.969, 2: 0.940, 3: 0.913, 4: 0.888, 6: 0.843, 9: 0.784}


@pytest.mark.parametrize(("width", "f1"), THINNED.items())
def test_suppression_caps_perfect_labels_as_the_protocol_says(published_counts, width, f1):
    truths = label_points(published_counts)
    sample = truths.sample.astype(int)
    kept = suppress(truths.line, sample, np.ones(len(truths), np.float32), width)
    number = np.bincount(truths.line[kept], minlength=truths.lines)
    assert (2 * number / (number + truths.per_line)).mean() == pytest.approx(f1, abs=0.002)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "peak-mns"}, "did you mean 'peak-nms'"),
        ({"name": "run", "place": "middle"}, "expected maximum, centroid"),
        ({"width": -1}, "an integer >= 0 in samples"),
        ({"width": 1.5}, "an integer >= 0 in samples"),
        ({"name": "raw", "width": 2}, "has no width"),
        ({"name": "raw", "place": "centroid"}, "has no centroid"),
    ],
)
def test_decoders_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(DataError, match=message):
        Decoder(**settings)


def test_bad_outputs_are_refused():
    z = np.zeros((2, 5))
    with pytest.raises(DataError, match="threshold must be a number"):
        decode(z, np.nan, Decoder())
    with pytest.raises(DataError, match="threshold >= 0"):
        decode(z, -0.1, Decoder("run", place="centroid"))
    with pytest.raises(DataError, match="nothing to score"):
        decode(np.zeros((2, 0)), 0, Decoder())
    z[1, 2] = np.nan
    with pytest.raises(DataError, match="NaN in 1 of 2 lines"):
        decode(z, 0, Decoder())
