"""What the process does in which a file of these tests runs; a module of its own, as all conftest.py have one name."""

import os
import sys
from pathlib import Path

import pytest

INSIDE = "KERNBENCH_TEST_PRETEND"  # in the environment of such a process: the file for its reports


def run_inside(*tests):
    """Run tests by their ids."""
    temporary = Path(os.environ[INSIDE]).with_name("temporary")
    sys.exit(pytest.main(["-p", "no:cacheprovider", "-p", "no:xdist", "-q", f"--basetemp={temporary}", *tests]))
