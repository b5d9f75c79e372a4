"""The state of the process outlives the code of plugins, and what they changed is said."""

import csv
import os
import random
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from torch.overrides import _get_current_function_mode_stack

from kernbench.host.process_state import changed_by_import, importing, kept, plain_torch

ALL = [
    "working folder",
    "default dtype",
    "number of threads",
    "default device",
    "limit of CSV fields",
    "warnings filters",
    "signal handlers",
    "state of Python's random numbers",
    "state of numpy's random numbers",
    "state of torch's random numbers",
]


def disturb(folder):
    """Everything that a plugin may change."""
    os.chdir(folder)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_num_threads(torch.get_num_threads() + 1)
    warnings.simplefilter("error")
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    csv.field_size_limit(2**24)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002  # what plugins do
    torch.manual_seed(1)


def seen():
    """The state, each part by what it does."""
    return (
        os.getcwd(),  # noqa: PTH109
        torch.zeros(1).dtype,
        torch.zeros(1).device,
        torch.get_num_threads(),
        signal.getsignal(signal.SIGUSR1),
        csv.field_size_limit(),
        tuple(warnings.filters),
    )


def drawn():
    return random.random(), np.random.random(), float(torch.rand(()))  # noqa: NPY002


@pytest.fixture
def states():
    """Generators of known states."""
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    torch.manual_seed(7)


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_put_back_and_named_also_after_an_error(tmp_path, states, fails):
    before = seen()
    expected = drawn()
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    torch.manual_seed(7)
    changed = []
    try:
        with kept(randomness=True) as changed:
            disturb(tmp_path)
            if fails:
                raise ValueError
    except ValueError:
        assert fails
    assert changed == ALL
    assert drawn() == expected
    assert seen() == before


def test_code_that_is_to_draw_keeps_what_it_drew(states):
    torch.manual_seed(7)
    torch.rand(3)
    expected = torch.rand(())
    torch.manual_seed(7)
    with kept() as changed:
        torch.rand(3)
    assert torch.rand(()) == expected
    assert not changed


def test_the_quick_form_minds_the_folder_and_defaults_of_torch(tmp_path):
    before = seen()
    with kept(quick=True) as changed:
        os.chdir(tmp_path)
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.set_default_device("meta")
    assert changed == ALL[:4]
    assert seen() == before


def test_what_an_import_changed_is_remembered_by_its_name(tmp_path):
    with importing("first"):
        os.chdir(tmp_path)
    with importing("second"):
        pass
    assert changed_by_import("first", "second", "unknown") == ["working folder"]


def test_a_folder_that_has_gone_is_no_error(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with kept():
        os.chdir(tmp_path)
    assert os.getcwd() == str(tmp_path)  # noqa: PTH109


def test_a_filter_of_one_message_stays_as_libraries_quiet_their_own():
    old = list(warnings.filters)
    with warnings.catch_warnings():
        with kept() as changed:
            warnings.filterwarnings("ignore", message="a warning of this test")
        assert not changed
        with kept() as changed:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("ignore", message="another one")
        assert changed == ["warnings filters"]
        assert [each[1].pattern for each in warnings.filters[:2]] == ["another one", "a warning of this test"]
        assert warnings.filters[2:] == old


def test_torch_that_a_plugin_imports_has_its_own_defaults_afterwards():
    code = (
        "import sys\nfrom kernbench.host.process_state import kept\nassert 'torch' not in sys.modules\n"
        "with kept(randomness=True) as changed:\n import torch\n torch.set_default_dtype(torch.float64)\n"
        " torch.set_default_device('meta')\nprint(changed, torch.zeros(1).dtype, torch.zeros(1).device)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['default dtype', 'default device'] torch.float32 cpu\n"


def test_plain_torch_leaves_no_mode_that_each_call_of_torch_would_pay_for():
    before = _get_current_function_mode_stack()
    with plain_torch():
        assert torch.zeros(1).device.type == "cpu"
    assert _get_current_function_mode_stack() == before
    torch.set_default_device("meta")
    try:
        with plain_torch():
            assert torch.zeros(1).device.type == "cpu"
        assert torch.zeros(1).device.type == "meta"
    finally:
        torch.set_default_device(None)
