"""Trained networks of kernbench as files: tensors and plain facts, enough to rebuild and score them again.

The file is a dict: "format", "version", "facts" (JSON-like), "state" (name -> tensor) and "sha256". It is read by
torch's weights-only loader, so nothing in it is executed; the code comes from the installed plugin that the facts name.
"""

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kernbench.errors import DataError
from kernbench.host.process_state import plain_torch
from kernbench.host.tensor_files import read_tensors
from kernbench.networks.network import Network
from kernbench.networks.weights import FORMAT, Facts, _Reader, _rebuilt, checked_state, fill
from kernbench.study.cell import derived_seed
from kernbench.study.settings import EVALUATED, RESAMPLED, TEST_KERNELS, check_table
from kernbench.ulm.data.export import new_folder
from kernbench.ulm.evaluation.noise import FIRST_STREAM, Noise, noise_stream
from kernbench.ulm.evaluation.rates import TRAINING_MHZ, rate_factor
from kernbench.ulm.pairing.decoders import Decoder
from kernbench.ulm.pairing.protocol import MatchedChoice
from kernbench.ulm.scoring.protocol import Choice
from kernbench.ulm.simulator.pulse import FloatArray
from kernbench.ulm.srml1d.networks import WEIGHTS_NAME, network_of, save_network, save_thresholds, weights_path


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network, ours or a published one, in evaluation mode.

    Attributes:
        path: its file.
        network: (N, 1, L) -> (N, 1, L).
        facts: what the file says about it; empty for a published network, as is what follows.
        choice: frozen thresholds of the dilation metric.
        pairs: frozen decoder and thresholds of the one-to-one metric.
        noise: of the lines that it was scored on.
        batch: lines per forward pass when it was scored; another number may change the last bit of an output.
        test_rate: of the test lines that it was scored on [MHz].
        resampled: whether its kernels at that rate came from a filter, see `kernbench.networks.at_rate`.
        delay: by which its output comes after the bubbles [samples of the training rate].
        template: pulse with which its lines are compressed, see `kernbench.ulm.simulator.compression`, or None.
    """

    path: Path
    network: Network
    facts: Facts = field(default_factory=dict)
    choice: Choice | None = None
    pairs: MatchedChoice | None = None
    noise: Noise | None = None
    batch: int | None = None
    test_rate: float = TRAINING_MHZ
    delay: int = 0
    template: FloatArray | None = None
    resampled: bool = False

    def factor(self, split: str) -> float:
        """Rate at which it was scored on a split, over that of training."""
        return self.test_rate / TRAINING_MHZ if split == "test" else 1.0

    @property
    def label(self) -> str:
        """Study and cell, or the file of a published network."""
        return f"{self.facts['study']} {self.facts['cell']}" if self.facts else str(self.path)

    def noise_lost(self, splits: Iterable[str]) -> str:
        """Why its noise on the lines of some splits cannot be drawn again, one sentence; empty where it can."""
        protocol = int(self.facts.get("task", {}).get("protocol", 1))
        noisy = self.noise is not None and any(self.noise.level(split) > 0 for split in splits)
        if not noisy or noise_stream(protocol) != FIRST_STREAM:
            return ""
        return (
            f"{self.path} was scored under protocol version {protocol}, whose noise was drawn from another stream: "
            "these lines have the same level but other noise; expect scores close to those of its cell, not equal ones"
        )


@plain_torch()
def load_trained(source: str | Path, plugin: str | None = None, network: str | None = None) -> Trained:
    """A trained network from `weights.pt` of a cell, or from a state dict in the published layout.

    Args:
        source: the file, or a folder with a published `epoch_1249`.
        plugin: family (name or FILE.py:NAME) that makes the kernels, in place of the one that the file names and
            whatever its version. torch's global random generator is left as it was.
        network: network (FILE.py:NAME, or the name of an installed one) in place of the one that the file names,
            whatever its version; one from a local file must be given.

    Raises:
        DataError: no such file, Python code in it, damaged, or made by a later kernbench; nothing is executed.
        PluginError: the family is missing, broken, or of another version than the one that trained it; or the network
            is missing or broken.
    """
    path = weights_path(Path(source))
    if path.is_symlink():
        raise DataError(f"{path} is a symbolic link; give the file itself, {path.resolve()}")
    content = read_tensors(path)
    if content.get("format") == FORMAT:
        return _ours(path, content, plugin, network)
    for option, given in (("--plugin", plugin), ("--network", network)):
        if given is not None:
            raise DataError(
                f"{path} is not a weights.pt of kernbench; {option} goes with one, published kernels need none"
            )
    return Trained(path, network_of(content, path))


@plain_torch()
def untrained(trained: Trained, plugin: str | None = None, network: str | None = None) -> Network:
    """The network of a cell as it was before its training: drawn again, from the seed of the cell.

    The same torch on the same kind of machine draws the same numbers; another may not, so compare where it matters.

    Args:
        trained: a network of ours, from `load_trained`.
        plugin: as for `load_trained`.
        network: as for `load_trained`.

    Raises:
        DataError: a published network, whose start nothing is known of, or facts without a seed.
        PluginError: see `load_trained`.
    """
    if not trained.facts:
        raise DataError(f"{trained.path} is a published network: expected one of kernbench, whose start is known")
    facts = _Reader(trained.path, trained.facts)
    seed = derived_seed("initialization", facts.natural("params.seed"))
    return _rebuilt(facts, plugin, network, functools.partial(check_table, "network"), seed).eval()


def export_published(trained: Trained, folder: Path) -> list[Path]:
    """Write a trained network in the published layout, with the thresholds that its file has.

    Args:
        trained: a dilated network of 12 layers, 64 channels, K = 3.
        folder: new, or empty; made under another name and renamed.

    Returns:
        The files: `epoch_1249`, and `thresholds_optimal.npy` with `tolerance_list.npy`.

    Raises:
        DataError: another architecture, naming the first thing that differs, an output that comes after its bubbles, of
            which the layout knows nothing, lines that are compressed, or a folder that cannot be written.
    """
    if trained.delay:
        raise DataError(
            f"{trained.path}: expected a network without a delay, got data.delay = {trained.delay}, which the "
            "published layout cannot say; export one that was trained without"
        )
    if trained.template is not None:
        raise DataError(
            f"{trained.path}: expected a network of received lines, got data.compression = 'matched', which the "
            "published layout cannot say; export one that was trained without"
        )
    with new_folder(folder) as partial:
        save_network(trained.network, partial / WEIGHTS_NAME)
        if trained.choice is not None:
            save_thresholds(trained.choice, partial)
        names = sorted(path.name for path in partial.iterdir())
    return [folder / name for name in names]


def _ours(path: Path, content: Mapping[str, object], plugin: str | None, network: str | None) -> Trained:
    facts, _ = checked_state(path, content)
    built = _rebuilt(facts, plugin, network, functools.partial(check_table, "network"))
    fill(built, path, content)
    facts.get("cell", str)
    noise = Noise(facts.number("noise.percent"), facts.number("noise.test_percent"), facts.natural("noise.seed"))
    choice, pairs = _choice(facts, "thresholds"), _choice(facts, "one_to_one")
    try:
        decoder = Decoder(facts.get("one_to_one.decoder", str), facts.natural("one_to_one.width"))
    except DataError as error:
        raise DataError(f"{path}: one_to_one: {error}") from error
    matched = MatchedChoice(pairs.split, pairs.tolerances, pairs.thresholds, pairs.mean_f1, decoder)
    batch, rate = facts.natural("evaluation.batch", 1), TRAINING_MHZ
    if "test_rate" in facts.content:  # a cell that was scored at the rate of training says nothing
        rate = facts.number("test_rate")
        rate_factor(rate, f"{path}: test_rate")
    kernels = facts.get("test_kernels", str) if "test_kernels" in facts.content else EVALUATED  # likewise
    if kernels not in TEST_KERNELS:
        raise DataError(f"{path}: test_kernels: expected one of {', '.join(TEST_KERNELS)}, got {kernels!r}")
    delay = facts.natural("delay") if "delay" in facts.content else 0  # likewise
    template = _template(facts) if "template" in facts.content else None
    return Trained(
        path, built.eval(), facts.content, choice, matched, noise, batch, rate, delay, template, kernels == RESAMPLED
    )


def _template(facts: "_Reader") -> FloatArray:
    """The pulse that lines are compressed with."""
    given = facts.get("template", list)
    taps = np.array([each for each in given if isinstance(each, float) and math.isfinite(each)])
    if len(taps) < len(given) or not taps.any():
        raise DataError(f"{facts.path}: template expected a list of finite numbers, not all 0; take another copy")
    return taps


def _choice(facts: "_Reader", metric: str) -> Choice:
    """Thresholds of a metric; what they reached on their split is not stored."""
    tolerances, thresholds = facts.thresholds(metric)
    return Choice(facts.get(f"{metric}.split", str), tolerances, thresholds, np.full(len(tolerances), math.nan))
