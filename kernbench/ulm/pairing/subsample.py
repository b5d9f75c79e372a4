"""Detections between samples: where the parabola through a peak of the output and its neighbours is highest."""

import numpy as np

from kernbench.ulm.pairing.decoders import Detections, Output
from kernbench.ulm.pairing.points import Points


def between_samples(output: Output, found: Detections) -> Points:
    """Places of detections on local maxima, moved by at most half a sample.

    Args:
        output: of the network, (N, L).
        found: detections on integer samples, of `peak-nms`.

    Returns:
        As many points in the same order. One at an end of its line, or in the middle of a plateau, stays.
    """
    line, sample = found.points.line, found.points.sample.astype(np.int64)
    within = (sample > 0) & (sample < output.shape[1] - 1)
    centre = np.where(within, sample, 1)
    before, peak, behind = (output[line, centre + step].astype(np.float64) for step in (-1, 0, 1))
    curvature = 2 * peak - before - behind
    peaked = within & (curvature > 0) & (peak >= before) & (peak >= behind)
    shift = np.where(peaked, (behind - before) / np.where(peaked, 2 * curvature, 1), 0.0)
    return Points(line, found.points.sample + shift, found.points.lines)
