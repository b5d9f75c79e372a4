"""Line files of SRML-1D: MATLAB, read, refused and written."""

import io

import numpy as np
import pytest
import scipy.io
from mat73_files import mat73
from recorded_lines import read, recorded

from kernbench.errors import DataError
from kernbench.ulm.line import SAMPLES
from kernbench.ulm.simulator.pulses import find_pulse
from kernbench.ulm.simulator.simulate import Scene, simulate_lines
from kernbench.ulm.srml1d.formats import RecordedLine, parse_line, write_line


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(3)
    return Scene(np.sort(rng.uniform(0.004, 0.096, 30)), rng.uniform(-0.014, 0.014, 30), np.full(30, 2.4e-6), 1.5e5)


@pytest.fixture(scope="module")
def simulated(scene):
    return simulate_lines([scene])


def published_mat(scene, lines, **changed):
    """A result as the published simulator lays it out: structs by element and by bubble."""
    bubble = np.zeros((1, len(scene.z_m)), dtype=[("z", "O"), ("x", "O"), ("R0", "O"), ("r0", "O")])
    for index, (z, x, radius) in enumerate(zip(scene.z_m, scene.x_m, scene.radius_m, strict=True)):
        bubble[0, index] = (z, x, radius, 1e-3)
    structs = {
        "RF": {"p": np.zeros((1, SAMPLES)), "fs": 62.5e6, "V": lines.voltage.double().numpy()},
        "bubble": bubble,
        "domain": {"depth": 0.1, "c": 1480.0, "x_el": 0.0},
        "pulse": {"f": 1.7e6, "A": scene.pressure_pa, "fs": 250e6},
        "pfield": {"PA": lines.pressure_field_pa.double().numpy()},
        "liquid": {"ThermalModel": "Prosperetti"},
    } | changed
    out = io.BytesIO()
    scipy.io.savemat(out, {name: value for name, value in structs.items() if value is not None}, do_compression=True)
    return out.getvalue()


def test_labels_are_rebuilt_from_the_positions(scene, simulated):
    line = parse_line(published_mat(scene, simulated), "a.mat")
    assert (line.counts == simulated.counts[0].numpy()).all()
    assert (line.voltage == simulated.voltage[0].numpy()).all()
    assert line.pressure_pa == 1.5e5
    assert line.field_pa == pytest.approx(simulated.pressure_field_pa[0].numpy())
    assert (line.positions[:, 0] == scene.z_m).all()
    assert (line.positions[:, 1] == scene.x_m).all()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"RF": None}, "no RF.fs"),
        ({"bubble": {"z": 0.05}}, "no bubble.x"),
        ({"domain": {"c": 1500.0}}, "domain.c expected 1480, got 1500"),
        ({"RF": {"V": np.zeros((1, SAMPLES)), "fs": 31.25e6}}, "RF.V expected 4223 numbers, got 8446"),
        (
            {"RF": {"V": np.zeros((1, SAMPLES)), "fs": 62.5}},
            "RF.fs expected a sampling rate of 5 to 1000 MHz, got 62.5",
        ),
        ({"RF": {"V": np.zeros((1, 100)), "fs": 62.5e6}}, "RF.V expected 8446 numbers, got 100"),
        ({"RF": {"V": np.full((1, SAMPLES), np.nan), "fs": 62.5e6}}, "RF.V has NaN"),
        ({"RF": {"V": np.full((1, SAMPLES), 1e60), "fs": 62.5e6}}, "RF.V has NaN, infinite or too large numbers"),
        ({"RF": {"V": "text", "fs": 62.5e6}}, "RF.V does not hold real numbers"),
        ({"RF": {"V": np.full((1, SAMPLES), 1j), "fs": 62.5e6}}, "RF.V does not hold real numbers"),
        ({"RF": {"V": np.zeros((2, SAMPLES // 2)), "fs": 62.5e6}}, "RF.V expected a row or a column"),
        ({"bubble": {"z": 1e308, "x": 0.0}}, "bubble.z has NaN, infinite or too large"),
        ({"pulse": {"f": 1.7e6, "A": -5.0}}, "pulse.A expected an amplitude of 0 Pa or more, got -5"),
        ({"bubble": {"z": np.nan, "x": 0.0}}, "bubble.z has NaN"),
        ({"bubble": {"z": 0.2, "x": 0.0}}, "outside the line, at z = 0.2 m"),
        ({"pulse": {"f": 1.7e6}}, "no pulse.A"),
        ({"pfield": {"PA": np.zeros((1, 3))}}, "pfield.PA expected 8446"),
        ({"RF": 5.0}, "no RF.fs"),
        ({"RF": {"V": np.zeros((1, SAMPLES)), "fs": 62.5e6 + 1}}, "RF.fs: 62.500001 MHz is no ratio of whole"),
    ],
)
def test_a_result_that_lacks_something_is_refused(scene, simulated, changed, said):
    with pytest.raises(DataError) as refused:
        parse_line(published_mat(scene, simulated, **changed), "RFDATA00003.mat")
    assert str(refused.value).startswith("RFDATA00003.mat: ")
    assert said in str(refused.value)


def test_several_elements_are_refused(scene, simulated):
    elements = np.zeros((1, 96), dtype=[("V", "O"), ("fs", "O")])
    for element in range(96):
        elements[0, element] = (np.zeros((1, SAMPLES)), 62.5e6)
    with pytest.raises(DataError, match=r"a\.mat: RF has 96 channels; choose one of them by --channel, 1 to 96"):
        parse_line(published_mat(scene, simulated, RF=elements), "a.mat")


@pytest.mark.parametrize("keep", [0, 10, 1000])
def test_a_cut_result_is_refused(scene, simulated, keep):
    with pytest.raises(DataError, match=r"^a\.mat"):
        parse_line(published_mat(scene, simulated)[:keep], "a.mat")


def test_a_result_may_be_a_file_of_v7_3(scene, simulated):
    bubbles = zip(scene.z_m.tolist(), scene.x_m.tolist(), scene.radius_m.tolist(), strict=True)
    content = mat73(
        RF={"V": simulated.voltage.double().numpy(), "fs": 62.5e6},
        bubble=[{"z": z, "x": x, "R0": radius} for z, x, radius in bubbles],
        domain={"c": 1480.0},
        pulse={"A": scene.pressure_pa},
        liquid={"ThermalModel": "Prosperetti"},
    )
    line, old = parse_line(content, "a.mat"), parse_line(published_mat(scene, simulated), "a.mat")
    assert (line.voltage == old.voltage).all()
    assert (line.counts == old.counts).all()
    assert (line.positions == old.positions).all()
    assert line.pressure_pa == old.pressure_pa


def test_a_result_with_positions_comes_back(scene, simulated, tmp_path):
    line = parse_line(published_mat(scene, simulated), "a.mat")
    write_line(tmp_path / "b.mat", line, "test")
    again = read(tmp_path / "b.mat")
    assert again.positions.tobytes() == line.positions.tobytes()
    assert again.voltage.tobytes() == line.voltage.tobytes()
    assert (again.counts == line.counts).all()
    assert again.pressure_pa == line.pressure_pa
    structs = scipy.io.loadmat(tmp_path / "b.mat")
    assert structs["bubble"].shape == (1, 30)
    assert structs["RF"]["V"][0, 0].shape == (1, SAMPLES)


# Structs and fields of a result of the published simulator, as its protocol lists them.
PUBLISHED_FIELDS = {
    "RF": {"p", "fs", "V"},
    "bubble": {"z", "x", "R0", "r0"},
    "domain": {"depth", "width", "c", "d1", "d2", "x_el"},
    "pulse": {"f", "w", "Nc", "A", "fs", "p"},
    "pfield": {"PA", "z"},
    "shell": {"model", "sig_0", "sig_l", "Ks", "A_N"},
    "liquid": {"k", "rho", "cp", "nu", "c", "sig", "T0", "P0", "a", "b", "BA", "beta", "ThermalModel"},
    "gas": {"k", "rho", "Mg", "gam", "cp"},
}


@pytest.fixture
def exported(scene, simulated, tmp_path):
    """A simulated line as scipy reads its .mat file."""
    pulse = find_pulse().pressure * scene.pressure_pa
    line = RecordedLine(
        simulated.voltage[0].numpy(),
        simulated.counts[0].numpy().astype(np.uint8),
        simulated.pressure_field_pa[0].numpy(),
        scene.pressure_pa,
        np.stack([scene.z_m, scene.x_m, scene.radius_m], axis=1),
        simulated.echo_pa[0].numpy(),
        pulse,
    )
    write_line(tmp_path / "a.mat", line, "test")
    return scipy.io.loadmat(tmp_path / "a.mat")


def test_a_result_has_every_struct_and_field_of_a_published_one(exported):
    assert {name: set(exported[name].dtype.names) for name in PUBLISHED_FIELDS} == PUBLISHED_FIELDS
    assert {name: exported[name].shape for name in PUBLISHED_FIELDS if name not in ("bubble", "shell")} == {
        name: (1, 1) for name in PUBLISHED_FIELDS if name not in ("bubble", "shell")
    }
    assert exported["bubble"].shape == exported["shell"].shape == (1, 30)
    shapes = {"RF.p": (1, SAMPLES), "RF.V": (1, SAMPLES), "pulse.p": (1, 1424), "pfield.z": (1, SAMPLES)}
    for key, shape in shapes.items():
        struct, field = key.split(".")
        assert exported[struct][field][0, 0].shape == shape, key
    assert exported["liquid"]["ThermalModel"][0, 0][0] == "Prosperetti"
    assert {str(model[0]) for model in exported["shell"]["model"][0]} == {"Segers"}


def test_the_published_programs_find_what_they_take_from_a_result(exported, scene, simulated):
    # the network's loader: one line per element, by the name of the signal
    lines = {
        name: np.concatenate([element[name] for element in exported["RF"][0]]) for name in exported["RF"].dtype.names
    }
    assert (np.squeeze(lines["V"]).astype(np.float32) == simulated.voltage[0].numpy()).all()
    assert (np.squeeze(lines["p"]).astype(np.float32) == simulated.echo_pa[0].numpy()).all()
    # delay and sum: c and the pulse for the wavelength, width and depth for the image
    assert exported["liquid"]["c"][0, 0].item() / exported["pulse"]["f"][0, 0].item() == 1480 / 1.7e6
    assert exported["domain"]["width"][0, 0].item() == 0.028
    assert exported["domain"]["depth"][0, 0].item() == 0.1
    # the writer of text lines
    z, x = (np.array([bubble[name].item() for bubble in exported["bubble"][0]]) for name in ("z", "x"))
    index = np.floor((z + np.hypot(x, z)) / exported["domain"]["c"][0, 0].item() * 62.5e6 + 0.5).astype(int)
    assert (np.bincount(index, minlength=SAMPLES) == simulated.counts[0].numpy()).all()
    assert exported["pulse"]["A"][0, 0].item() == scene.pressure_pa
    assert np.abs(exported["pulse"]["p"][0, 0]).max() == pytest.approx(1.000152 * scene.pressure_pa, rel=1e-6)


def test_shells_are_those_of_the_published_simulator(reference, tmp_path):
    with np.load(reference / "single_bubble.npz") as single:
        radius, viscosity, area = single["R0"], single["Ks"], single["A_N"]
    positions = np.stack([np.full(12, 0.05), np.zeros(12), radius], axis=1)
    counts = np.zeros(SAMPLES, np.uint8)
    counts[round(0.1 / 1480 * 62.5e6)] = 12
    write_line(tmp_path / "a.mat", RecordedLine(np.zeros(SAMPLES, np.float32), counts, None, 1e5, positions), "test")
    shells = scipy.io.loadmat(tmp_path / "a.mat")["shell"][0]
    assert [shell["Ks"].item() for shell in shells] == pytest.approx(viscosity, rel=1e-9)
    # Octave's root for the area at rest is 1e-4 off
    assert [shell["A_N"].item() for shell in shells] == pytest.approx(area, rel=2e-4)


def test_what_a_line_does_not_know_is_nan_and_the_line_comes_back(tmp_path):
    line = recorded(np.random.default_rng(4))
    write_line(tmp_path / "a.mat", line, "test")
    structs = scipy.io.loadmat(tmp_path / "a.mat")
    assert {name: set(structs[name].dtype.names) for name in PUBLISHED_FIELDS} == PUBLISHED_FIELDS
    assert np.isnan(structs["RF"]["p"][0, 0]).all()
    assert structs["RF"]["p"][0, 0].shape == (1, SAMPLES)
    assert np.isnan(structs["pulse"]["p"][0, 0]).all()
    assert all(np.isnan(shell["A_N"].item()) for shell in structs["shell"][0])
    assert all(each["x"].item() == 0 and np.isnan(each["R0"].item()) for each in structs["bubble"][0])
    again = read(tmp_path / "a.mat")
    for name in ("voltage", "counts", "field_pa"):
        assert (getattr(again, name) == getattr(line, name)).all()
    assert again.positions is None  # the middle of a sample is no arrival to measure errors against


def test_positions_without_radii_are_positions(scene, simulated):
    bubble = {"z": scene.z_m, "x": scene.x_m}
    line = parse_line(published_mat(scene, simulated, bubble=bubble), "a.mat")
    assert (line.positions[:, 1] == scene.x_m).all()
    assert np.isnan(line.positions[:, 2]).all()


def test_a_line_without_bubbles_comes_back(tmp_path):
    line = RecordedLine(np.zeros(SAMPLES, np.float32), np.zeros(SAMPLES, np.uint8), None, 1e5)
    write_line(tmp_path / "a.mat", line, "test")
    again = read(tmp_path / "a.mat")
    assert again.bubbles == 0
    assert again.field_pa is None
