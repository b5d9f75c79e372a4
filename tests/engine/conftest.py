"""Fixtures of the engine's tests."""

import pytest
from fakes import World


@pytest.fixture
def world(tmp_path):
    """A database in a folder of its own, and cells without training."""
    return World(tmp_path)
