"""A small trained network and its file."""

import pytest
import torch
from small_weights import facts_of, used

from kernbench.networks.network import build
from kernbench.networks.weights import save_weights


@pytest.fixture
def siren():
    torch.manual_seed(0)
    return used(build("shallow", "siren", 9, channels=3, depth=2, hyper={"omega_0": 12.0}))


@pytest.fixture
def file(siren, tmp_path):
    return save_weights(tmp_path / "weights.pt", siren, facts_of(siren, "shallow"))
