"""The dual loss against the worked check of the protocol and against a direct numpy computation."""

import numpy as np
import pytest
import torch

from kernbench.errors import DataError
from kernbench.ulm.scoring.loss import dual_loss, gaussian_taps


@pytest.fixture
def lines(worked):
    """Prediction and label of the protocol's worked check, (2, 256)."""
    return tuple(torch.from_numpy(each).float() for each in worked)


@pytest.mark.parametrize(
    ("alpha", "soft", "total"),
    [(1, 0.0159738, 1.001939), (0.1, 0.0380960, 1.024061), (0.01, 0.1070588, 1.093024)],
)
def test_worked_check(lines, alpha, soft, total):
    result = dual_loss(*lines, alpha=alpha)
    assert result.hard.item() == pytest.approx(0.616228, abs=5e-7)
    assert result.soft.item() == pytest.approx(soft, abs=6e-8)
    assert result.loss.item() == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize(("alpha", "total"), [(1, 1.7726), (0.1, 5.6050), (0.01, 17.7240)])
def test_sum_of_the_59_taps(alpha, total):
    assert len(gaussian_taps(alpha)) == 59
    assert gaussian_taps(alpha).sum().item() == pytest.approx(total, abs=5e-5)


def test_against_numpy_on_random_lines():
    rng = np.random.default_rng(3)
    z, y = rng.normal(0.3, 0.7, (4, 200)), rng.poisson(0.1, (4, 200)).astype(float)
    taps = np.exp(-0.1 * np.arange(-29, 30) ** 2)
    smooth = [
        np.abs(np.correlate(np.pad(a, 29), taps) - np.correlate(np.pad(b, 29), taps)) for a, b in zip(z, y, strict=True)
    ]
    zc, yc = z.clip(0, 1), y.clip(0, 1)
    hard = np.mean(1 - 2 * (zc * yc).sum(1) / (zc.sum(1) + yc.sum(1) + 1e-6))
    got = dual_loss(torch.tensor(z), torch.tensor(y), soft_weight=0.7, hard_weight=2.0)
    assert got.soft.item() == pytest.approx(np.mean(smooth), rel=1e-12)
    assert got.loss.item() == pytest.approx(0.7 * np.mean(smooth) + 2 * hard, rel=1e-12)


def test_layouts_and_label_types_agree(lines):
    output, counts = lines
    flat = dual_loss(output, counts).loss
    assert dual_loss(output[:, None], counts.to(torch.uint8)).loss == flat
    assert dual_loss(output, counts[:, None].long()).loss == flat


def test_gradient_matches_finite_differences():
    output = torch.rand(1, 80, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    counts = (torch.arange(80)[None] % 13 == 0).double()
    assert torch.autograd.gradcheck(lambda z: dual_loss(z, counts).loss, output.requires_grad_())


def test_hard_term_has_no_gradient_outside_the_clip():
    output = torch.tensor([[-0.5, 1.5, 0.5]], requires_grad=True)
    dual_loss(output, torch.tensor([[1.0, 1.0, 1.0]]), soft_weight=0).loss.backward()
    assert output.grad[0, :2].tolist() == [0, 0]
    assert output.grad[0, 2] < 0


@pytest.mark.parametrize("shape", [(2, 255), (2, 2, 256), (256,)])
def test_other_sizes_are_refused(lines, shape):
    with pytest.raises(DataError, match=r"one size|expected lines"):
        dual_loss(torch.zeros(shape), lines[1])
