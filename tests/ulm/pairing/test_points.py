"""Tables of positions: order, labels with and without multiplicity, arrivals that round to the labels."""

import numpy as np
import pytest
import torch

from kernbench.errors import DataError
from kernbench.ulm.pairing.points import arrival_points, label_points, points
from kernbench.ulm.simulator.population import draw_scene
from kernbench.ulm.simulator.scene import Scene, flatten, line_counts


def test_points_are_sorted_within_their_lines_and_keep_empty_lines():
    table = points([[5, 1.5, 1.5], [], [2]])
    assert table.line.tolist() == [0, 0, 0, 2]
    assert table.sample.tolist() == [1.5, 1.5, 5, 2]
    assert table.lines == 3
    assert table.per_line.tolist() == [3, 0, 1]
    assert table.starts.tolist() == [0, 3, 3]
    assert len(points([])) == 0
    assert points([[], []]).per_line.tolist() == [0, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_positions_must_be_finite(bad):
    with pytest.raises(DataError, match="1 of 3 are not"):
        points([[1, bad], [2]])


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_labels_are_distinct_samples_unless_multiplicity_is_asked_for(kind):
    counts = kind(np.array([[0, 2, 0, 1], [0, 0, 0, 0], [3, 0, 0, 0]], np.uint8))
    assert label_points(counts).sample.tolist() == [1, 3, 0]
    assert label_points(counts, multiplicity=True).sample.tolist() == [1, 1, 3, 0, 0, 0]
    assert label_points(counts, multiplicity=True).per_line.tolist() == [3, 0, 3]


def test_labels_must_be_lines():
    with pytest.raises(DataError, match=r"shape \(N, L\)"):
        label_points(np.zeros(5))


def test_arrivals_round_to_the_labels_of_the_simulator():
    rng = np.random.default_rng(3)
    scenes = [draw_scene(rng) for _ in range(5)]
    arrivals = arrival_points(scenes)
    expected = line_counts(flatten(scenes), len(scenes))
    for line, counts in enumerate(expected):
        own = arrivals.sample[arrivals.line == line]
        assert (np.diff(own) >= 0).all()
        assert np.array_equal(np.bincount(np.floor(own + 0.5).astype(int), minlength=8446), counts)


def test_arrivals_need_no_radii_but_finite_positions():
    scene = Scene([0.0, 0.03], [0.0, 0.04], [np.nan, np.nan], 0.0)
    assert arrival_points([scene]).sample.tolist() == [0, pytest.approx(0.08 / 1480 * 62.5e6)]
    with pytest.raises(DataError, match="positions must be finite"):
        arrival_points([Scene([np.nan], [0.0], [1e-6], 0.0)])
