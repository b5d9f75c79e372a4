"""Fixtures of the store's tests."""

import subprocess
import sys

import pytest


@pytest.fixture
def dead():
    """Process id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid
