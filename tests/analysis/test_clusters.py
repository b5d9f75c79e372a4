"""Groups of planted shapes, silhouettes of noise, the plane of principal components."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernbench.analysis.atoms import unit
from kernbench.analysis.clusters import can_cluster, clusters, plane, silhouette, silhouette_of_noise, upright

needs_sklearn = pytest.mark.skipif(not can_cluster(), reason="scikit-learn, the extra `analysis`, is not installed")
SHAPES = np.eye(3, 17) + 0.5 * np.eye(3, 17, 3)


def mixed(seed=0, sizes=(30, 20, 10), noise=0.2):
    """Kernels of three shapes, of either sign, with noise; the shape of each."""
    rng = np.random.default_rng(seed)
    shape = rng.permutation(np.repeat(np.arange(3), sizes))
    kernels = SHAPES[shape] * rng.choice([-1, 1], len(shape))[:, None]
    return upright(unit(kernels + noise * rng.standard_normal(kernels.shape) / np.sqrt(17))), shape


@needs_sklearn
def test_planted_shapes_are_the_groups_the_largest_first():
    kernels, shape = mixed()
    found = clusters(kernels)
    assert np.array_equal(found.group, shape)
    assert found.silhouette > 0.6
    close = np.abs(found.centroids @ unit(SHAPES).T)
    assert close.argmax(axis=1).tolist() == [0, 1, 2]
    assert close.max(axis=1).min() > 0.99


@needs_sklearn
def test_noise_has_no_groups_and_the_same_answer_each_time():
    assert silhouette_of_noise(64, 33) < 0.1
    kernels, _ = mixed(noise=1.0)
    first, second = clusters(kernels), clusters(kernels)
    assert np.array_equal(first.group, second.group)
    assert first.silhouette == second.silhouette


@needs_sklearn
@given(group=st.lists(st.integers(0, 4), min_size=4, max_size=30), seed=st.integers(0, 99), same=st.booleans())
def test_the_silhouette_is_that_of_scikit_learn(group, seed, same):
    from sklearn.metrics import silhouette_score

    points = np.random.default_rng(seed).integers(0, 2 if same else 99, (len(group), 3)).astype(float)
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    groups = np.array(group)
    if 1 < len(set(group)) < len(group):
        assert silhouette(apart, groups) == pytest.approx(silhouette_score(apart, groups, metric="precomputed"))
    elif len(set(group)) == 1:
        assert silhouette(apart, groups) == -1


@needs_sklearn
@pytest.mark.parametrize("kernels", [np.zeros((0, 9)), np.eye(3, 9), np.repeat(np.eye(2, 9), 20, axis=0)])
def test_of_fewer_than_four_different_kernels_there_are_none(kernels):
    assert clusters(kernels) is None


def test_the_plane_is_that_of_the_largest_variances():
    kernels = unit(np.random.default_rng(3).standard_normal((50, 9)) * np.arange(1, 10))
    found = plane(kernels)
    values, vectors = np.linalg.eigh(np.cov(kernels.T))
    assert found.explained == pytest.approx(values[::-1][:2] / values.sum())
    assert np.abs(np.sum(found.directions * vectors[:, ::-1][:, :2].T, axis=1)) == pytest.approx([1, 1])
    assert found.places(kernels).mean(axis=0) == pytest.approx([0, 0], abs=1e-12)


def test_one_kernel_or_one_tap_has_a_plane_without_variance():
    assert plane(np.ones((1, 5)) / np.sqrt(5)).explained.tolist() == [0, 0]
    assert plane(np.ones((4, 1))).places(np.ones((4, 1))).tolist() == [[0, 0]] * 4


def test_the_first_large_tap_of_an_upright_kernel_is_positive():
    kernels = np.random.default_rng(4).standard_normal((40, 7))
    found = upright(kernels)
    assert np.array_equal(np.abs(found), np.abs(kernels))
    assert np.array_equal(upright(-kernels), found)
    assert upright(np.zeros((0, 7))).shape == (0, 7)


def test_differences_with_noise_have_one_sign():
    rng = np.random.default_rng(5)
    kernels = np.array([0.0, -1, 1, 0]) * rng.choice([-1, 1], (200, 1)) + rng.uniform(-0.1, 0.1, (200, 4))
    assert (upright(kernels)[:, 1] > 0).all()
