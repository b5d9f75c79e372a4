"""Imported lines of other layouts: another rate, two columns, one of several channels."""

import dataclasses
import json

import numpy as np
import pytest
import scipy.io
from line_files import recorded_line, write_folder

from kernbench.errors import DataError
from kernbench.ulm.data.export import export_set
from kernbench.ulm.data.find import find_set
from kernbench.ulm.data.imported import import_lines
from kernbench.ulm.data.manifest import manifest_by_number, read_manifest, write_manifest
from kernbench.ulm.srml1d.formats import write_line
from kernbench.ulm.srml1d.rates import line_samples


def rewritten(folder, rate):
    """The lines of a folder as if they had been recorded at another rate, with few digits and two columns."""
    for path in folder.glob("*.txt"):
        number = int(path.stem[-5:])
        samples = line_samples(rate)
        labels = np.random.default_rng(number).integers(400, 5000 * rate // 62.5e6, size=10 + number)
        counts = np.bincount(labels.astype(int), minlength=samples)
        voltage = np.cos(np.arange(samples) * (0.1 + number / 1000))
        head = ['"Generated with a test"', f'"Number of bubbles:",{counts.sum()}', '"Bubble count","Voltage (a.u)"']
        rows = [f"{count},{value:.10f}" for count, value in zip(counts, voltage, strict=True)]
        path.write_text("\n".join([*head, *rows, ""]))


@pytest.mark.parametrize("suffix", ["json", "csv"])
def test_lines_of_another_rate_are_resampled_which_the_manifest_and_the_set_say(tmp_path, suffix):
    made = write_folder(tmp_path / "lines", range(1, 4))
    rewritten(made, 40e6)
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    path = tmp_path / f"manifest.{suffix}"
    write_manifest(path, manifest_by_number(made, {"test": (1, 3)}, rate_hz=40e6))
    assert read_manifest(path).rate_hz == 40e6
    assert read_manifest(path).digest() != manifest_by_number(made, {"test": (1, 3)}).digest()
    imported = import_lines(made, path, "mine")
    assert imported.notes == ("resampled from 40 to 62.5 MHz",)
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before
    loaded = find_set("mine").load("test")
    assert loaded.voltage.shape == (3, 8446)
    assert loaded.counts.sum(axis=1).tolist() == loaded.bubbles.tolist() == [11, 12, 13]
    assert np.isnan(loaded.pressure_pa).all()
    wanted = np.cos(np.arange(8446) * 0.64 * 0.101)
    assert np.abs(loaded.voltage[0] - wanted)[200:-200].max() < 1e-4


def test_lines_without_pressure_are_written_out_as_they_were(tmp_path):
    made = write_folder(tmp_path / "lines", [1, 2])
    rewritten(made, 62.5e6)
    write_manifest(made / "manifest.json", manifest_by_number(made, {"test": (1, 2)}))
    export_set(find_set(str(made)), tmp_path / "out")
    assert (tmp_path / "out" / "RFDATA00002.txt").read_text().splitlines()[1:3] == [
        '"Number of bubbles:",12',
        '"Bubble count","Voltage (a.u)"',
    ]
    ours, theirs = find_set(str(tmp_path / "out")).load("test"), find_set(str(made)).load("test")
    assert (ours.voltage == theirs.voltage).all()
    assert (ours.counts == theirs.counts).all()
    with pytest.raises(DataError, match="needs the pressure of the pulse, this line has none; write text"):
        export_set(find_set(str(made)), tmp_path / "mat", form="mat")
    assert not (tmp_path / "mat").exists()


def test_the_channel_of_a_manifest_is_the_one_that_is_read(tmp_path):
    line = dataclasses.replace(recorded_line(1), field_pa=None)
    write_line(tmp_path / "RFDATA1.mat", line, "test")
    content = scipy.io.loadmat(tmp_path / "RFDATA1.mat")
    rf = np.zeros((1, 2), dtype=[("V", "O"), ("fs", "O")])
    rf[0] = [(k * np.round(line.voltage * 100).astype(np.int16)[None], 62.5e6) for k in (1, 2)]
    domain = {"c": 1480.0, "x_el": np.array([[-0.01, 0.0]])}
    kept = {name: value for name, value in content.items() if not name.startswith("_")}
    scipy.io.savemat(tmp_path / "RFDATA1.mat", kept | {"RF": rf, "domain": domain})
    path = tmp_path / "manifest.csv"
    write_manifest(path, manifest_by_number(tmp_path, {"test": (1, 1)}, "mat", channel=2))
    assert read_manifest(path).channel == 2
    imported = import_lines(tmp_path, path, "second")
    assert imported.notes == ("stored as int16, read as float32",)
    assert (find_set("second").load("test").voltage[0] == 2 * np.round(line.voltage * 100)).all()
    write_manifest(path, manifest_by_number(tmp_path, {"test": (1, 1)}, "mat", channel=1))
    assert (find_set("second").load("test").counts[0] == line.counts).all()
    assert import_lines(tmp_path, path, "first").digest != imported.digest


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"rate_hz": "fast"}, "rate_hz must be a number"),
        ({"rate_hz": 40}, "rate_hz expected a sampling rate of 5 to 1000 MHz, got 40 Hz"),
        ({"channel": 0}, "channel must be an integer >= 1, got 0"),
        ({"channel": 1.5}, "channel an integer >= 1"),
    ],
)
def test_a_rate_or_channel_that_cannot_be_is_refused(tmp_path, how, said):
    folder, path = write_folder(tmp_path / "lines", [1]), tmp_path / "manifest.json"
    write_manifest(path, manifest_by_number(folder, {"test": (1, 1)}))
    path.write_text(json.dumps(json.loads(path.read_text()) | how))
    with pytest.raises(DataError, match=said):
        import_lines(folder, path, "mine")
