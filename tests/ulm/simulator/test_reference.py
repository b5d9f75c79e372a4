"""Agreement with the published simulator, SRML-1D, run under GNU Octave; see the reference data's README."""

import numpy as np
import pytest
from scipy.io import loadmat

from kernbench.ulm.simulator import embedded_fits
from kernbench.ulm.simulator.physics import shell_viscosity, surface_tension, thermal_damping
from kernbench.ulm.simulator.simulate import Scene, simulate_bubbles, simulate_lines


@pytest.fixture(scope="module")
def single(reference):
    with np.load(reference / "single_bubble.npz", allow_pickle=False) as data:
        return dict(data)


@pytest.fixture(scope="module")
def responses(reference):
    folder = reference / "srml1d" / "RF_simulator" / "functions"
    return {
        "transmit_response": str(folder / "TransmitTransferFunctionFit.mat"),
        "receive_response": str(folder / "ReceiveTransferFunctionFit.mat"),
    }


@pytest.fixture(scope="module")
def lines(reference):
    with np.load(reference / "lines8.npz", allow_pickle=False) as data:
        return dict(data)


def single_scenes(single):
    columns = (single[name] for name in ("z", "x", "R0", "PA"))
    return [Scene([z], [x], [radius], float(pressure)) for z, x, radius, pressure in zip(*columns, strict=True)]


def line_scenes(lines):
    z, x, radius = (np.split(lines[name], lines["offsets"][1:-1]) for name in ("z", "x", "R0"))
    return [Scene(*columns) for columns in zip(z, x, radius, lines["PA"].tolist(), strict=True)]


def relative_l2(ours, theirs):
    return np.linalg.norm(ours.double().numpy() - theirs, axis=-1) / np.linalg.norm(theirs, axis=-1)


def test_material_constants_of_each_bubble(single):
    viscosity, kappa = thermal_damping(single["R0"])
    assert viscosity == pytest.approx(single["nu_th"], rel=1e-6)
    assert kappa == pytest.approx(single["kappa"], rel=1e-6)
    assert shell_viscosity(single["R0"]) == pytest.approx(single["Ks"], rel=1e-6)


@pytest.mark.parametrize(("measured", "largest"), [(False, 3e-3), (True, 2e-5)])
def test_driving_pressure(single, responses, measured, largest):
    response = responses["transmit_response"] if measured else None
    trace = simulate_bubbles(single["z"], single["R0"], single["PA"], time_step_s=4e-9, transmit_response=response)
    error = np.abs(trace.pressure_pa.double().numpy() - single["p_bubble"]).max(axis=1) / single["PA"]
    assert error.max() < largest


@pytest.mark.parametrize(("equilibrium", "weak"), [(False, 6e-3), (True, 1e-2)])
def test_radius(single, equilibrium, weak):
    # Octave's root for the area at rest is 1e-4 off: its bubbles start with a transient that ours do not have.
    rest = embedded_fits.AREA_AT_REST if equilibrium else float(single["A_m0"][0])
    trace = simulate_bubbles(single["z"], single["R0"], single["PA"], time_step_s=4e-9, area_at_rest=rest)
    excursion = np.abs(single["R"] - single["R0"][:, None]).max(axis=1)
    error = np.abs(trace.radius_m.double().numpy() - single["R"]).max(axis=1) / excursion
    assert error[single["PA"] < 1e4].max() < weak
    assert error[single["PA"] > 1e4].max() < 3e-3


@pytest.mark.parametrize("measured", [False, True])
def test_voltage_of_each_single_bubble(single, responses, measured):
    voltage = simulate_lines(single_scenes(single), **(responses if measured else {})).voltage
    assert relative_l2(voltage, single["V"]).max() < 6e-3


def test_pressure_at_the_element(single):
    # Not filtered by the element yet: collapse peaks far above its band, which 16 ns cannot show, count in full.
    echoes = simulate_lines(single_scenes(single), time_step_s=4e-9).echo_pa
    assert relative_l2(echoes, single["pRF"]).max() < 2e-2
    assert relative_l2(simulate_lines(single_scenes(single)).echo_pa, single["pRF"]).max() < 4e-2


@pytest.mark.parametrize(("measured", "voltage", "field"), [(False, 8e-3, 2e-4), (True, 2e-3, 3e-5)])
def test_full_lines(lines, responses, measured, voltage, field):
    ours = simulate_lines(line_scenes(lines), **(responses if measured else {}))
    assert relative_l2(ours.voltage, lines["V"]).max() < voltage
    assert (ours.counts.numpy() == lines["counts"]).all()
    assert ours.pressure_field_pa.double().numpy() == pytest.approx(lines["pfield"], rel=field)


def test_pressure_field_of_a_published_text_line(reference):
    path = reference / "RFDATA00001.txt"
    header = path.read_text().splitlines()[2]
    kilopascal = float(header.split(",")[1])
    field = np.loadtxt(path, delimiter=",", skiprows=4, usecols=2)
    ours = simulate_lines([Scene([], [], [], kilopascal * 1e3)]).pressure_field_pa[0].double().numpy()
    assert ours == pytest.approx(field, rel=2e-4)


def test_surface_tension_of_the_published_table(reference):
    table = loadmat(reference / "srml1d" / "RF_simulator" / "functions" / "fit_SigmaR_evaluated.mat")
    area, tension = table["A_m"][0], table["sig"][0]
    assert np.abs(surface_tension(area) - tension).max() < 1e-4
