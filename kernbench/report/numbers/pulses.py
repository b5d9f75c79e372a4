"""Driving pulses of a comparison, and how far a network has to see for the echo of each."""

from kernbench.errors import DataError
from kernbench.report.numbers.comparison import Comparison
from kernbench.store.reading.records import Run
from kernbench.ulm.line import DEFAULT_PULSE
from kernbench.ulm.simulator.waveforms import FINE_RATE_HZ, WAVEFORMS

PULSE_AXIS = "pulse"
PLAIN = "shallow"  # the network whose layers, without dilation, all see (K - 1) / 2 samples ahead


def pulse_of(run: Run) -> str:
    """Name or path of the pulse of a cell."""
    return str(run.params.get(PULSE_AXIS) or run.definition.get("data", {}).get(PULSE_AXIS, DEFAULT_PULSE))


def pulse_hz_of(run: Run) -> float:
    """Nominal frequency of the pulse of a cell; NaN for one from a file, which the page does not read."""
    name = pulse_of(run)
    return WAVEFORMS[name].thermal_mhz * 1e6 if name in WAVEFORMS else float("nan")


def pulses_of(comparison: Comparison) -> list[str]:
    """Pulses of a comparison that can be shown, in their order; none where all cells have the default one."""
    names = list(dict.fromkeys(pulse_of(run) for run in comparison.runs))
    return [] if names == [DEFAULT_PULSE] else [name for name in names if _is_known(name)]


def _is_known(name: str) -> bool:
    """Whether the pulse is there; a file may be gone."""
    from kernbench.ulm.simulator.pulses import find_pulse  # noqa: PLC0415  # torch, which most pages do without

    try:
        find_pulse(name)
    except DataError:
        return False
    return True


def pulse_table(comparison: Comparison) -> list[dict[str, str]]:
    """A row for each pulse: its drive, length, what has to be seen of its echo, and the K of the study that see it."""
    return [_row(name, comparison) for name in pulses_of(comparison)]


def _row(name: str, comparison: Comparison) -> dict[str, str]:
    from kernbench.ulm.simulator.pulses import find_pulse  # noqa: PLC0415  # torch
    from kernbench.ulm.simulator.reach import echo_of, kernel_size_needed  # noqa: PLC0415

    pulse, echo, layers = find_pulse(name), echo_of(name), _layers(comparison)
    needed = None if layers is None else kernel_size_needed(name, layers)
    sizes = sorted({size for run in comparison.runs if isinstance(size := run.params.get("kernel_size"), int)})
    seen = [f"{size}" for size in sizes if needed is not None and size >= needed]
    return {
        "pulse": name,
        "drive": WAVEFORMS[name].text if name in WAVEFORMS else "from a file",
        "mhz": f"{pulse.thermal_hz / 1e6:.3g}",
        "micros": f"{(len(pulse.pressure) - 1) / FINE_RATE_HZ * 1e6:.1f}",
        "first": str(echo.first),
        "last": str(echo.ninety_nine_percent),
        "needed": "" if needed is None else str(needed),
        "seen": "" if needed is None else ", ".join(seen) or "none",
    }


def _layers(comparison: Comparison) -> int | None:
    """Layers of the network, where all cells have one without dilation and with centered kernels."""
    found = {_layers_of(run) for run in comparison.runs}
    return found.pop() if len(found) == 1 else None


def _layers_of(run: Run) -> int | None:
    network = run.definition.get("network", {}) | run.params
    plain = network.get("name") == PLAIN and network.get("side", "centered") == "centered"
    depth = network.get("depth")
    return depth if plain and isinstance(depth, int) and "reach" not in network else None
