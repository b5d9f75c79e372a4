"""Weights that are cut, changed or crafted: refused in one line, and nothing in them is ever run."""

import os
import pickle

import numpy as np
import pytest
import torch
from small_weights import changed, content, the_line

from kernbench.errors import DataError, KernbenchError
from kernbench.networks import weights as weights_module
from kernbench.ulm.evaluation.trained import load_trained


def facts(key, value):
    *sections, last = key.split(".")

    def change(inside):
        section = inside["facts"]
        for name in sections:
            section = section[name]
        if value is None:
            del section[last]
        else:
            section[last] = value

    return change


def state(key, value):
    return lambda inside: inside["state"].pop(key) if value is None else inside["state"].update({key: value})


BIAS, IDENTITY = "blocks.0.0.bias", "blocks.0.0.kernel_module._extra_state"
DAMAGED = {
    "a later format": (lambda inside: inside.update(version=2), "format version 2, this kernbench reads 1"),
    "no facts": (lambda inside: inside.pop("facts"), "facts expected a dict, got NoneType"),
    "no state": (lambda inside: inside.pop("state"), "state expected a dict of tensors, got NoneType"),
    "no family": (facts("family", None), "no family.name among the facts"),
    "family is a number": (facts("family.name", 5), "family.name expected str, got 5"),
    "no network": (facts("network", None), "no network among the facts"),
    "no gain": (facts("network.gain", None), "no network.gain among the facts"),
    "even taps": (facts("network.kernel_size", 8), "odd kernel size"),
    "too many channels": (facts("network.channels", 10**9), "network.channels: expected a whole number in [1, 4096]"),
    "another network": (facts("network.name", "shalow"), "did you mean 'shallow'"),
    "an unknown setting": (facts("network.width", 3), "unknown key network.width"),
    "other layers": (facts("layers", [{"kernel_size": 3}]), "has layer 1 as {'kernel_size': 3}"),
    "another depth": (facts("network.depth", 1), "has 2 layers; this kernbench builds another network"),
    "an unknown hyper-parameter": (facts("family.hyper", {"omega": 3}), "has no hyper-parameter 'omega'"),
    "other hyper-parameters": (
        facts("family.hyper", {"omega_0": 30.0}),
        "these weights belong to another kernel: hyper.omega_0 expected 30.0, got 12.0",
    ),
    "threshold NaN": (facts("thresholds.values", [float("nan")] * 10), "thresholds.values expected 10 numbers"),
    "too few thresholds": (facts("thresholds.values", [0.1]), "thresholds.values expected 10 numbers, got [0.1]"),
    "no tolerances": (facts("thresholds.tolerances", []), "thresholds.tolerances expected distinct samples"),
    "tolerance twice": (facts("one_to_one.tolerances", [1, 1]), "one_to_one.tolerances expected distinct samples"),
    "another decoder": (facts("one_to_one.decoder", "peak"), "decoder: expected raw, run, peak-nms, got 'peak'"),
    "a negative width": (facts("one_to_one.width", -1), "one_to_one.width expected a whole number >= 0, got -1"),
    "width is true": (facts("one_to_one.width", True), "one_to_one.width expected int, got True"),
    "noise is text": (facts("noise.percent", "8"), "noise.percent expected a number, got '8'"),
    "a rate of its own": (facts("test_rate", 40.0), "test_rate: expected 31.25, 62.5 or 125 MHz, got 40"),
    "rate is text": (facts("test_rate", "125"), "test_rate expected a number, got '125'"),
    "kernels of no kind": (facts("test_kernels", "moved"), "test_kernels: expected one of evaluated, resampled, got"),
    "kernels are a number": (facts("test_kernels", 2), "test_kernels expected str, got 2"),
    "a delay below 0": (facts("delay", -1), "delay expected a whole number >= 0, got -1"),
    "delay is text": (facts("delay", "85"), "delay expected int, got '85'"),
    "no batch": (facts("evaluation.batch", 0), "evaluation.batch expected a whole number >= 1, got 0"),
    "a missing tensor": (state(BIAS, None), f"{BIAS} is missing from the"),
    "a missing identity": (state(IDENTITY, None), "_extra_state is missing"),
    "a tensor too many": (state("blocks.7.0.bias", torch.zeros(1)), "blocks.7.0.bias is not part of the siren network"),
    "another shape": (state(BIAS, torch.zeros(5)), f"{BIAS} expected (3,) float32, got (5,) float32"),
    "another type": (state(BIAS, torch.zeros(3, dtype=torch.float64)), "got (3,) float64"),
    "a sparse tensor": (state(BIAS, torch.zeros(3).to_sparse()), "got (3,) float32 sparse_coo"),
    "NaN": (state(BIAS, torch.full((3,), torch.nan)), f"{BIAS} has NaN or infinite numbers"),
    "no tensor": (state(BIAS, [1.0]), f"{BIAS} must be a tensor, got list"),
    "an identity of noise": (state(IDENTITY, torch.arange(7, dtype=torch.uint8)), "cannot be loaded: "),
    "an identity that is text": (state(IDENTITY, "x"), "cannot be loaded: "),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_weights_are_refused_in_one_line(file, name):
    change, said = DAMAGED[name]
    changed(file, change)
    with pytest.raises(KernbenchError) as refused:
        load_trained(file)
    line = the_line(refused)
    assert said in line
    assert str(file) in line


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_a_cut_file_is_refused(file, kept):
    whole = file.read_bytes()
    file.write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])
    with pytest.raises(DataError, match="is not a state dict that can be read without running code"):
        load_trained(file)


def test_a_flipped_byte_is_noticed_or_changes_nothing(file, siren):
    whole = bytearray(file.read_bytes())
    expected = siren.state_dict()
    refused = 0
    for place in np.random.default_rng(0).integers(0, len(whole), 80):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        file.write_bytes(damaged)
        try:
            again = load_trained(file).network.state_dict()
        except KernbenchError:
            refused += 1
        else:  # padding, or the archive's own book-keeping
            assert all(torch.equal(again[name], tensor) for name, tensor in expected.items())
    assert refused > 5


def test_a_number_changed_by_hand_is_noticed(file):
    inside = content(file)
    inside["state"][BIAS][0] += 1e-3
    torch.save(inside, file)
    with pytest.raises(DataError, match=r"was changed after it was written: its checksum does not fit"):
        load_trained(file)


def test_what_is_no_file_is_refused(file, tmp_path):
    (tmp_path / "link.pt").symlink_to(file)
    (tmp_path / "loose.pt").symlink_to(tmp_path / "absent.pt")
    os.mkfifo(tmp_path / "pipe")
    for source, said in (
        ("absent.pt", "no weights file"),
        (".", "has no epoch_1249"),
        ("link.pt", "is a symbolic link; give the file itself"),
        ("loose.pt", "no weights file"),
        ("pipe", "no weights file"),
    ):
        with pytest.raises(DataError) as refused:
            load_trained(tmp_path / source)
        assert said in the_line(refused), source


# code


class Spy:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("place", ["state", "facts", "whole"])
def test_code_in_weights_is_refused_and_not_run(file, tmp_path, place):
    inside = content(file)
    if place == "whole":
        inside = Spy(tmp_path / "ran")
    else:
        inside[place]["head.bias"] = Spy(tmp_path / "ran")
    torch.save(inside, file)
    said = r"holds Python code \(\w+\.mkdir\), not only weights; refused, nothing was run"
    with pytest.raises(DataError, match=said):
        load_trained(file)
    assert not (tmp_path / "ran").exists()
    torch.load(file, weights_only=False)
    assert (tmp_path / "ran").is_dir()  # it does run in an ordinary loader


def test_a_bare_pickle_is_refused_and_not_run(file, tmp_path):
    file.write_bytes(pickle.dumps({"format": weights_module.FORMAT, "state": Spy(tmp_path / "ran")}))
    with pytest.raises(DataError, match=r"refused|without running code"):
        load_trained(file)
    assert not (tmp_path / "ran").exists()
