"""The step of the bubble equation by line."""

import dataclasses

import numpy as np
import pytest
import torch

from kernbench.ulm.data.time_steps import at_their_steps, step_ns
from kernbench.ulm.simulator.scene import Scene
from kernbench.ulm.simulator.simulate import Lines, simulate_lines

SCENES = [
    Scene([0.03, 0.031], [0.0, 0.0], [2.4e-6, 2.3e-6], 240e3),
    Scene([0.03, 0.032], [0.0, 0.0], [2.4e-6, 1.5e-6], 240e3),
    Scene([0.03], [0.001], [1.5e-6], 100e3),
]
TENSORS = [field.name for field in dataclasses.fields(Lines) if field.name != "stepped_again"]
WINDOW = (np.array([2500, 2450, 2400]), 600)


@pytest.mark.parametrize(
    ("radius_um", "kilopascal", "usual", "needed"),
    [(1.79, 201, 16, 8), (1.81, 250, 16, 16), (1.5, 199, 16, 16), (1.5, 250, 4, 4), (1.5, 250, 8, 8)],
)
def test_a_small_bubble_under_high_pressure_needs_the_finer_step(radius_um, kilopascal, usual, needed):
    assert step_ns(Scene([0.03, 0.04], [0.0, 0.0], [2.4e-6, radius_um * 1e-6], kilopascal * 1e3), usual) == needed


def test_lines_without_such_a_bubble_are_the_same_bits():
    same = [SCENES[0], SCENES[2]]
    window = (WINDOW[0][[0, 2]], 600)
    found, plain = at_their_steps(simulate_lines, same, 16, window=window), simulate_lines(same, window=window)
    assert all(torch.equal(getattr(found, name), getattr(plain, name)) for name in TENSORS)


def test_each_line_of_a_set_has_its_own_step_and_its_place():
    found = at_their_steps(simulate_lines, SCENES, 16, window=WINDOW)
    for row, step in enumerate((16e-9, 8e-9, 16e-9)):
        window = ([WINDOW[0][row]], 600)
        alone = simulate_lines([SCENES[row]], time_step_s=step, window=window)
        for name in TENSORS:
            assert torch.equal(getattr(found, name)[row], getattr(alone, name)[0]), (row, name)
    coarse = simulate_lines([SCENES[1]], window=([WINDOW[0][1]], 600)).voltage[0]
    assert (found.voltage[1] - coarse).norm() > 1e-3 * coarse.norm()
