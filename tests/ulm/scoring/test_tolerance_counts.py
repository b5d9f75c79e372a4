"""Counts at all tolerances and thresholds against a direct count, one pair at a time, by binary dilation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_dilation

from kernbench.errors import DataError
from kernbench.ulm.scoring import tolerance_counts as counting
from kernbench.ulm.scoring.scores import f1_scores
from kernbench.ulm.scoring.tolerance_counts import tolerance_counts

# Few distinct values, so that ties with thresholds are common; 0.1 differs between float32 and float64.
LEVELS = [-np.inf, -0.3, -1e-3, 0.0, 0.1, 0.25, 0.5, 1.4, np.inf]
THRESHOLDS = [-0.3, -5e-4, 0.0, 0.1, 0.25, 0.9]


def direct_counts(z, y, tolerance, threshold):
    """TP, FN, FP of one line as the protocol words it (5.1)."""
    detected, truth = z.astype(np.float32) > np.float32(threshold), y > 0.5
    window = np.ones(2 * tolerance + 1, bool)
    near_detection, near_truth = binary_dilation(detected, window), binary_dilation(truth, window)
    return (truth & near_detection).sum(), (truth & ~near_detection).sum(), (detected & ~near_truth).sum()


@st.composite
def batches(draw):
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 40)))
    z = draw(arrays(np.float32, shape, elements=st.sampled_from(LEVELS))).astype(draw(st.sampled_from("fd")))
    y = draw(arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 0, 1, 2])))
    return z, y


@settings(max_examples=150)
@given(batches(), st.lists(st.integers(0, 60), min_size=1, max_size=5), st.permutations(THRESHOLDS))
def test_agrees_with_direct_counting(batch, tolerances, thresholds):
    z, y = batch
    counted = tolerance_counts(z, y, tolerances, thresholds)
    for i, tolerance in enumerate(tolerances):
        for j, threshold in enumerate(thresholds):
            for n in range(len(z)):
                expected = direct_counts(z[n], y[n], tolerance, threshold)
                assert tuple(each[i, j, n] for each in counted) == expected


def test_agrees_with_direct_counting_on_more_dense_lines_than_one_block(monkeypatch):
    monkeypatch.setattr(counting, "BLOCK_SAMPLES", 5000)
    rng = np.random.default_rng(0)
    z, y = rng.normal(0.2, 0.4, (3, 4000)).astype(np.float32), rng.poisson(0.06, (3, 4000))
    counted = tolerance_counts(z, y, range(10), [0.1, 0.9])
    for (t, j, n), _ in np.ndenumerate(counted[0]):
        assert tuple(each[t, j, n] for each in counted) == direct_counts(z[n], y[n], t, [0.1, 0.9][j])


def test_worked_check(worked):
    tp, fn, fp = tolerance_counts(*worked, range(10), [0.3, 2.0])
    assert (tp[0, 0].tolist(), fn[0, 0].tolist(), fp[0, 0].tolist()) == ([1, 1], [2, 1], [1, 0])
    f1 = f1_scores(tp, fn, fp)
    assert f1[0, 0] == pytest.approx([0.4, 2 / 3])
    assert f1[1:, 0] == pytest.approx(np.tile([0.8, 1.0], (9, 1)))
    assert f1[:, 1] == pytest.approx(np.full((10, 2), 0.001))


def test_torch_gives_torch_and_the_same_numbers(worked):
    z, y = worked
    expected = tolerance_counts(z, y, [0, 4], [0.3])
    got = tolerance_counts(
        torch.tensor(z)[:, None], torch.tensor(y)[:, None], torch.tensor([0, 4]), torch.tensor([0.3])
    )
    for one, other in zip(got, expected, strict=True):
        assert isinstance(one, torch.Tensor)
        assert one.dtype == torch.int64
        assert other.dtype == np.int64
        assert np.array_equal(one.numpy(), other)
    assert f1_scores(*got).numpy() == pytest.approx(f1_scores(*expected))


@pytest.mark.gpu
def test_cuda_agrees_with_cpu(worked):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    z, y = (torch.tensor(each) for each in worked)
    for one, other in zip(
        tolerance_counts(z.cuda(), y.cuda(), [0, 4], [0.3, -1]),
        tolerance_counts(z, y, [0, 4], [0.3, -1]),
        strict=True,
    ):
        assert one.is_cuda
        assert torch.equal(one.cpu(), other)


def test_read_only_memory_maps_are_accepted(tmp_path, worked):
    for name, array in zip("zy", worked, strict=True):
        np.save(tmp_path / f"{name}.npy", array.astype(np.float32))
    maps = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "zy"]
    lists = [np.array([1]), np.array([0.3])]
    for each in lists:
        each.flags.writeable = False
    assert np.array_equal(tolerance_counts(*maps, *lists), tolerance_counts(*worked, [1], [0.3]))


@pytest.mark.parametrize(
    ("tp", "fn", "fp", "f1"),
    [(0, 0, 0, 0.001), (0, 3, 0, 0.001), (0, 0, 4, 0.001), (0, 2, 5, 0.001), (3, 0, 0, 1.0), (1, 2, 1, 0.4)],
)
def test_guards(tp, fn, fp, f1):
    assert f1_scores(np.array(tp), np.array(fn), np.array(fp)) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"prediction": np.where(np.arange(512).reshape(2, 256) == 300, np.nan, 0)}, "NaN in 1 of 2 lines"),
        *(({"tolerances": tolerances}, "integers >= 0 in samples") for tolerances in ([], [-1], [0.5], [np.inf])),
        *(({"thresholds": thresholds}, "thresholds must be numbers") for thresholds in ([], [np.nan])),
        ({"prediction": np.zeros((2, 255))}, "one size"),
        ({"prediction": np.zeros((0, 256)), "counts": np.zeros((0, 256))}, "nothing to score"),
    ],
)
def test_what_makes_no_sense_is_refused(worked, changed, said):
    given = dict(zip(("prediction", "counts"), worked, strict=True)) | {"tolerances": [0], "thresholds": [0.3]}
    with pytest.raises(DataError, match=said):
        tolerance_counts(**(given | changed))
