"""Every setting that a study or profile may name: its table, type, range and meaning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kernbench.errors import PluginError, StudyError, close_match
from kernbench.registry import core_networks, find_network

Value = bool | int | float | str


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        kind: int, float, str or bool.
        doc: meaning and unit, one line.
        low: smallest value allowed, for numbers.
        high: largest value allowed, for numbers.
        options: values allowed, for text.
        runtime: says how a cell is computed, not what it means: neither in the definition nor an axis.
        named: for the name of something that plugins offer: gives the name in definitions, or raises PluginError.
        numbers: the only values allowed, for a number that has few.
        files: endings of files that may stand in place of an option; an axis takes options alone, because the name of
            a cell says nothing of the content of a file.
        default: of a setting that came after studies were stored: profiles leave it out, and so do definitions where
            it has this value, so that digests stay.
    """

    kind: type
    doc: str
    low: float = 0
    high: float = float("inf")
    options: tuple[str, ...] = ()
    runtime: bool = False
    named: Callable[[str], str] | None = None
    numbers: tuple[float, ...] = ()
    files: tuple[str, ...] = ()
    default: Value | None = None

    def checked(self, value: object, where: str) -> Value:
        """The value in its declared type.

        Args:
            value: as read from TOML.
            where: file and key, for the message.

        Raises:
            StudyError: wrong type, out of range, or not one of the options.
        """
        if self.named is not None and isinstance(value, str):
            try:
                return self.named(value)
            except PluginError as error:
                raise StudyError(f"{where}: {error}") from error
        # a whole number is a number, and a bool is an int to Python
        right = isinstance(value, int | float if self.kind is float else self.kind)
        right = right and isinstance(value, bool) == (self.kind is bool)
        if self.kind in (int, float):
            span = f">= {self.low:g}" if self.high == float("inf") else f"in [{self.low:g}, {self.high:g}]"
            wanted = f"{'a whole number' if self.kind is int else 'a number'} {span}"
            right = right and self.low <= value <= self.high  # type: ignore[operator]
            if self.numbers:
                wanted = f"a number out of {', '.join(f'{each:g}' for each in self.numbers)}"
                right = right and value in self.numbers
        elif self.options:
            wanted = "one of " + ", ".join(map(repr, self.options))
            wanted += f", or a path that ends in {', '.join(self.files)}" if self.files else ""
            right = value in self.options or (isinstance(value, str) and value.lower().endswith(self.files or ("\0",)))
        else:
            wanted = "text" if self.kind is str else "true or false"
        if not right:
            hint = close_match(value, self.options) if isinstance(value, str) else ""
            raise StudyError(f"{where}: expected {wanted}, got {value!r}{hint}")
        return self.kind(value)  # type: ignore[no-any-return]

    def space(self) -> "Setting":
        """The setting as an axis. Options are those of kernbench itself: a database takes no others later."""
        return self if self.named is None else replace(self, options=core_networks())


PULSES = (  # those of kernbench.ulm.simulator.waveforms; a database takes no others later
    *("default", "TRI", "REF", "S1.7", "S2.5", "S3.4", "L1.7", "L2.5", "L3.4"),
    *("SUC", "SDC", "LUC", "LDC", "DPT", "ExpREF", "ExpSDC"),
)
POPULATIONS = ("monodisperse", "polydisperse")
TEST_RATES = (-1.0, 31.25, 62.5, 125.0)
EVALUATED, RESAMPLED = "evaluated", "resampled"  # kernels at another rate, see kernbench.networks.at_rate
TEST_KERNELS = (EVALUATED, RESAMPLED)

SETTINGS: dict[str, dict[str, Setting]] = {
    "data": {
        "population": Setting(str, "bubble radii", options=POPULATIONS),
        "train": Setting(int, "training lines", 1),
        "validation": Setting(int, "validation lines", 1),
        "test": Setting(int, "test lines", 1),
        "window": Setting(int, "samples at a random depth of each line; 0: the complete line", 0, 7865),
        "transmit_response": Setting(str, "measured transmit response, a .mat file; empty for the embedded fit"),
        "receive_response": Setting(str, "measured receive response, a .mat file; empty for the embedded fit"),
        "noise_percent": Setting(
            float, "nominal noise level in percent of 9.65 a.u.; 0 is unfiltered and clean", 0, 1000
        ),
        "test_population": Setting(
            str, "bubble radii of the test lines; empty: as the other lines", options=("", *POPULATIONS)
        ),
        "test_noise_percent": Setting(float, "noise level of the test lines; -1: as the other lines", -1, 1000),
        "test_rate": Setting(
            float,
            "sampling rate at which test lines are scored [MHz]; -1, where left out: as trained",
            low=-1,
            high=125,
            numbers=TEST_RATES,
            default=-1.0,
        ),
        "test_kernels": Setting(
            str,
            "taps at another `test_rate`: what the family says of those lags, or the taps of training, resampled by a "
            "filter; the first where left out",
            options=TEST_KERNELS,
            default=EVALUATED,
        ),
        "delay": Setting(
            int, "samples of 16 ns by which labels come after their bubbles; 0, where left out: none", 0, 120, default=0
        ),
        "pulse": Setting(
            str,
            "driving pulse: a name, or the path of a file with a pressure; `default`, where left out: one tri-level "
            "cycle of 1.7 MHz",
            options=PULSES,
            files=(".npz", ".txt", ".csv"),
            default="default",
        ),
        "bubbles": Setting(
            str,
            "motion of the bubbles: full, or linearized at rest, in water without a second harmonic",
            options=("nonlinear", "linear"),
            default="nonlinear",
        ),
        "compression": Setting(
            str,
            "filter that lines pass after their noise: none, or the matched filter of the pulse",
            options=("none", "matched"),
            default="none",
        ),
        "seed": Setting(int, "seed of bubbles, windows and test noise", 0, 2**32 - 1),
    },
    "network": {
        "name": Setting(str, "network, an installed one or FILE.py:NAME", named=lambda given: find_network(given).name),
        "kernel_size": Setting(int, "taps per kernel, odd", 1, 65535),
        "channels": Setting(int, "channels of the hidden layers", 1, 4096),
        "depth": Setting(int, "convolution layers, or blocks, before the last 1x1 layer", 1, 16),
        "gain": Setting(str, "start of each layer", options=("unit", "published")),
        "layer": Setting(
            str,
            "form of each layer: the family's kernels alone; for each channel, then mixed; beside a small kernel; "
            "several in rotation",
            options=("plain", "separable", "branches", "tiled"),
            default="plain",
        ),
        "tiles": Setting(int, "kernels in rotation in each layer, of `layer` tiled", 1, 64, default=2),
        "side": Setting(
            str,
            "lags that each kernel has: around the output's own sample, up to it, from it on",
            options=("centered", "causal", "anticausal"),
            default="centered",
        ),
        "boundary": Setting(
            str,
            "what is beyond an end: mirror image, zeros, last sample, mirror image with the last sample, other end",
            options=("mirror", "zero", "replicate", "symmetric", "circular"),
            default="mirror",
        ),
        "boundary_at": Setting(
            str,
            "what is padded: the line, once by all that the layers need; or what each layer takes",
            options=("input", "layer"),
            default="input",
        ),
        "reach": Setting(
            int,
            "samples that each kernel spans, (K - 1) times its dilation; left out: as the network says",
            1,
            65535,
        ),
        "field": Setting(
            int,
            "samples that the whole network sees at most: each network has the largest kernel size that does not see "
            "further; in place of a kernel size",
            3,
            10**6,
        ),
    },
    "training": {
        "epochs": Setting(int, "passes over the training lines", 1, 10**6),
        "batch_size": Setting(int, "lines per batch", 1, 65536),
        "update": Setting(str, "when Adam steps", options=("per-batch", "per-epoch")),
        "rate": Setting(float, "Adam's learning rate", 1e-8, 10),
        "decay_epoch": Setting(int, "first epoch at the decayed rate", 1, 10**6),
        "decay_factor": Setting(float, "factor of the decay", 1e-6, 1),
        "soft_weight": Setting(float, "weight of the L1 term of the dual loss", 0, 1000),
        "hard_weight": Setting(float, "weight of the Dice term of the dual loss", 0, 1000),
        "alpha": Setting(float, "width parameter of the L1 term's Gaussian [1/samples^2]", 1e-6, 100),
        "validate_every": Setting(int, "epochs between two validation passes", 1, 10**6),
        "recompute": Setting(
            bool,
            "compute activations again in the backward pass: less memory, more time, the same result",
            runtime=True,
        ),
        "compile": Setting(
            str,
            "torch.compile for the training step; other last bits, `reduce-overhead` records CUDA graphs",
            options=("off", "default", "reduce-overhead"),
            runtime=True,
        ),
        "checkpoint_seconds": Setting(
            float, "seconds between two checkpoints, kept at the end of an epoch", 0, 86400, runtime=True
        ),
    },
    "evaluation": {
        "tolerance": Setting(int, "headline tolerance [samples]", 0, 9),
        "threshold_split": Setting(str, "split on which thresholds are chosen", options=("train", "validation")),
    },
}

AXIS_TABLES = ("network", "training")  # a setting of these may be an axis; the others give a cell its meaning
AXIS_NOISE = ("noise_percent", "test_noise_percent")
AXIS_TEST = ("test_noise_percent", "test_rate", "test_kernels")  # of test lines alone: training does not depend on them
AXIS_LINES = ("pulse", "bubbles")  # lines of their own, of the same seed
# the others are added to the same lines, or made of them
AXIS_DATA = (*AXIS_NOISE, "test_rate", "test_kernels", "delay", "compression", *AXIS_LINES)


def check_table(table: str, given: Mapping[str, object], where: str) -> dict[str, Value]:
    """Settings of one table, each in its type.

    Args:
        table: name in SETTINGS.
        given: keys and values as read from TOML.
        where: file, for messages.

    Raises:
        StudyError: unknown key (with a close match), wrong type or range.
    """
    known = SETTINGS[table]
    for key in given:
        if key not in known:
            hint = close_match(key, known).replace("'", f"'{table}.", 1) or f"; known: {', '.join(known)}"
            raise StudyError(f"{where}: unknown key {table}.{key}{hint}")
    return {key: known[key].checked(value, f"{where}: {table}.{key}") for key, value in given.items()}


def axis_home(name: str) -> str | None:
    """Table of the setting that an axis varies, or None when it must be a hyper-parameter of the family."""
    for table in AXIS_TABLES:
        if name in SETTINGS[table] and not SETTINGS[table][name].runtime:
            return table
    return "data" if name in AXIS_DATA else None


def runtime_settings() -> set[str]:
    """Names of the settings that say how a cell is computed, not what it means."""
    return {name for table in SETTINGS.values() for name, setting in table.items() if setting.runtime}
