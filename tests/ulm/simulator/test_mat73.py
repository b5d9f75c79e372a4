"""MATLAB v7.3 files give what SciPy gives for older ones."""

import io
import sys

import numpy as np
import pytest
import scipy.io
from mat73_files import mat73

from kernbench.errors import DataError
from kernbench.ulm.simulator.mat_file import read_variables
from kernbench.ulm.simulator.response_file import load_response

VARIABLES = {
    "Fs": 250e6,
    "Hfit": np.exp(1j * np.arange(6.0))[None],
    "word": "Prosperetti",
    "whole": np.arange(6, dtype=np.int16).reshape(2, 3),
    "nothing": np.zeros((0, 0)),
    "RF": {"V": np.arange(5.0)[None], "fs": 62.5e6},
}


def old(**variables):
    out = io.BytesIO()
    scipy.io.savemat(out, variables)
    return out.getvalue()


def same(ours, theirs):
    assert ours.shape == theirs.shape
    assert ours.dtype.names == theirs.dtype.names
    if ours.dtype.names is None:
        assert ours.dtype.kind == theirs.dtype.kind
        assert (ours == theirs).all()
        return
    for name in ours.dtype.names:
        for one, other in zip(ours[name].ravel(), theirs[name].ravel(), strict=True):
            same(one, other)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_is_as_in_a_file_of_an_older_version(name):
    ours = read_variables(mat73(**VARIABLES), "new.mat")
    assert set(ours) == set(VARIABLES)
    same(ours[name], read_variables(old(**VARIABLES), "old.mat")[name])


def test_an_array_of_structs_has_its_elements_in_order():
    elements = [{"V": np.arange(4.0)[None] + k, "fs": 62.5e6} for k in range(3)]
    ours = read_variables(mat73(RF=elements, other=1.0), "new.mat", ["RF"])
    assert set(ours) == {"RF"}
    assert [each.ravel().tolist() for each in ours["RF"]["V"].ravel()] == [[k, k + 1, k + 2, k + 3] for k in range(3)]
    assert ours["RF"].shape == (1, 3)


def test_a_measured_response_may_be_a_file_of_v7_3(tmp_path):
    variables = {"Fs": 250e6, "Hfit": np.fft.fft(np.hanning(33), 512)[None]}
    (tmp_path / "new.mat").write_bytes(mat73(**variables))
    (tmp_path / "old.mat").write_bytes(old(**variables))
    (ours, rate), (theirs, _) = (load_response(tmp_path / name, "receive") for name in ("new.mat", "old.mat"))
    assert (ours == theirs).all()
    assert rate == 250e6


def test_without_the_extra_one_line_names_it(monkeypatch):
    content = mat73(Fs=1.0)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError) as refused:
        read_variables(content, "new.mat")
    assert str(refused.value) == (
        "new.mat is a MATLAB v7.3 file: pip install 'kernbench[mat73]' (h5py) reads it, or save it with -v7"
    )


@pytest.mark.parametrize("keep", [600, 1500, -900])
def test_a_cut_file_is_one_line(keep):
    with pytest.raises(DataError, match=r"^new\.mat is not a complete MATLAB v7\.3 file: ") as refused:
        read_variables(mat73(RF={"V": np.arange(5000.0)[None]})[:keep], "new.mat")
    assert "\n" not in str(refused.value)
