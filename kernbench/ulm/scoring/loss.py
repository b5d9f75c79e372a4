"""The dual loss: how far the smoothed output is from the smoothed label, plus how little the two overlap."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn.functional import conv1d

from kernbench.errors import DataError

# The published code says "2 M + 1" at M = 30 but builds 2 M - 1 = 59 taps; only alpha = 0.01 shows it.
HALF_WIDTH = 29
DICE_EPSILON = 1e-6
TERMS = ("soft", "hard")


class DualLoss(NamedTuple):
    """Value of the dual loss and its two unweighted terms, scalars that carry gradients.

    Attributes:
        loss: soft_weight * soft + hard_weight * hard.
        soft: mean absolute difference of the smoothed signals, bubbles per sample times the sum of the taps.
        hard: one minus the Dice overlap, mean over signals, 0 (equal) to 1 (disjoint, or both empty).
    """

    loss: torch.Tensor
    soft: torch.Tensor
    hard: torch.Tensor


def gaussian_taps(alpha: float, device: torch.device | str | None = None) -> torch.Tensor:
    """The smoothing kernel exp(-alpha i^2), i = -29..29: amplitude 1, not normalized.

    Args:
        alpha: inverse squared width, 1 / samples^2; the standard deviation is 1 / sqrt(2 alpha).
        device: where to make it; torch's default if left out.

    Returns:
        float64, shape (59,).
    """
    lags = torch.arange(-HALF_WIDTH, HALF_WIDTH + 1, dtype=torch.float64, device=device)
    return torch.exp(-alpha * lags**2)


def _soft_loss(prediction: torch.Tensor, counts: torch.Tensor, alpha: float) -> torch.Tensor:
    """Mean absolute difference of output and label, (B, L) each, both smoothed by a Gaussian with zero padding."""
    taps = gaussian_taps(alpha, prediction.device).to(prediction)  # made there: a copy for each batch would wait
    # Smoothing is linear: one correlation of the difference replaces two.
    difference = (prediction - counts)[:, None, :]
    return conv1d(difference, taps[None, None], padding=HALF_WIDTH).abs().mean()


def _hard_loss(prediction: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """One minus the Dice overlap of output and label, (B, L) each, clipped to 0..1: there the gradient is zero."""
    clipped, label = prediction.clamp(0, 1), counts.clamp(0, 1)
    overlap = 2 * (clipped * label).sum(dim=1)
    return (1 - overlap / (clipped.sum(dim=1) + label.sum(dim=1) + DICE_EPSILON)).mean()


def dual_loss(
    prediction: torch.Tensor,
    counts: torch.Tensor,
    soft_weight: float = 1.0,
    hard_weight: float = 1.6,
    alpha: float = 0.1,
) -> DualLoss:
    """Loss of the published localization networks; the defaults are those of model HS_01.

    Args:
        prediction: network output, (B, 1, L) or (B, L), floating point.
        counts: bubbles per sample, same layout, any numeric dtype.
        soft_weight: weight of the soft term (epsilon 1).
        hard_weight: weight of the hard term (epsilon 2).
        alpha: inverse squared width of the smoothing Gaussian, 1 / samples^2; losses of different alpha do
            not compare.

    Returns:
        The loss and its two terms.

    Raises:
        DataError: prediction and counts differ in size, or are neither (B, 1, L) nor (B, L).

    Source: Blanken et al. (2022), "Super-Resolved Microbubble Localization in Single-Channel Ultrasound RF
    Signals Using Deep Learning", IEEE Trans. Med. Imaging 41(9), and its published code.
    """
    output, label = as_lines(prediction, "prediction"), as_lines(counts, "counts")
    if output.shape != label.shape:
        raise DataError(
            f"the loss needs prediction and counts of one size: got {tuple(prediction.shape)} and {tuple(counts.shape)}"
        )
    label = label.to(output)
    soft, hard = _soft_loss(output, label, alpha), _hard_loss(output, label)
    return DualLoss(soft_weight * soft + hard_weight * hard, soft, hard)


@dataclass(frozen=True)
class TrainingLoss:
    """The dual loss with its settings, as `kernbench.training.loop.train` takes a loss.

    Attributes:
        soft_weight: weight of the soft term.
        hard_weight: weight of the hard term.
        alpha: inverse squared width of the smoothing Gaussian, 1 / samples^2.
    """

    soft_weight: float = 1.0
    hard_weight: float = 1.6
    alpha: float = 0.1

    def __call__(self, prediction: torch.Tensor, counts: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Value and terms by the names in `TERMS`, see `dual_loss`."""
        loss, *terms = dual_loss(prediction, counts, self.soft_weight, self.hard_weight, self.alpha)
        return loss, dict(zip(TERMS, terms, strict=True))


def as_lines(signal: torch.Tensor, name: str) -> torch.Tensor:
    """View a batch (B, 1, L) or (B, L) as lines (B, L).

    Args:
        signal: the batch.
        name: what to call it in the error.

    Raises:
        DataError: another number of dimensions, or more than one channel.
    """
    if signal.ndim == 3 and signal.shape[1] == 1:
        return signal[:, 0]
    if signal.ndim == 2:
        return signal
    raise DataError(f"{name}: expected lines of shape (N, L) or (N, 1, L), got {tuple(signal.shape)}")
