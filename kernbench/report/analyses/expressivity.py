"""What a family could represent against what training found: trained free taps, fitted by other families."""

import dataclasses
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kernbench.analysis.layer_fit import fit_layer
from kernbench.errors import KernbenchError
from kernbench.kernels.budget import PERCENT, Solution, largest, solve
from kernbench.kernels.layer import KernelConv
from kernbench.kernels.layer_options import PLAIN
from kernbench.kernels.trained import constrain
from kernbench.networks.network import Network, build
from kernbench.networks.spread import network_asked
from kernbench.report.analyses.analysis import Row
from kernbench.report.numbers.points import TEST, line_f1
from kernbench.store.reading.records import OK, Run
from kernbench.study.cell import derived_seed
from kernbench.training.loop import train
from kernbench.training.settings import Hooks, Settings
from kernbench.ulm.cells.definition import training_of

if TYPE_CHECKING:
    from kernbench.kernels.family import KernelFamily
    from kernbench.report.analyses.trained_cells import TrainedCell
    from kernbench.ulm.evaluation.workbench import Workbench

FREE = "discrete"  # family of the cells that are fitted
EPOCHS = 10  # of fine-tuning


class _Kernels(nn.Module):
    """The kernels of a layer, as a module without arguments."""

    def __init__(self, layer: KernelConv) -> None:
        super().__init__()
        self.layer = layer

    def forward(self) -> Tensor:
        """(C_out, C_in // groups, K)."""
        return self.layer.kernel()


def fitted_rows(
    cell: "TrainedCell", families: "Sequence[KernelFamily]", others: Iterable[Run], bench: "Workbench", epochs: int
) -> Iterable[Row]:
    """Each family in the place of the free taps of a cell, scored without and with fine-tuning, one row each.

    The network is that of the cell, with its biases, norms and last layer. Each layer's kernels are fitted to the
    trained ones at as many parameters, within 2 %, else at the most that are fewer. Fine-tuning has the loss, rates and
    batches of the study, their schedule shortened; the row of free taps says what further training alone gives.

    Args:
        cell: of free taps, in layers of the plain form.
        families: to try.
        others: cells of the same study, for the scores of families that were trained from the start.
        bench: lines of the cell.
        epochs: of fine-tuning; 0 for none.
    """
    target = [layer.kernel().detach().clone() for layer in cell.network.kernel_layers()]
    for family in families:
        yield _row(cell, family, target, _trained_f1(cell.run, family.name, others), bench, epochs)


def check_plain(cell: "TrainedCell") -> None:
    """Refuse a cell that this cannot be done with.

    Raises:
        KernbenchError: another family, form of layers, or network.
    """
    plan = cell.trained.facts["network"]
    if cell.run.family != FREE:
        raise KernbenchError(f"expected a cell of {FREE}, got one of {cell.run.family}")
    if plan.get("layer", PLAIN) != PLAIN or type(cell.network) is not Network:
        raise KernbenchError("expected plain layers in a row; fits of others are not defined")


def _row(
    cell: "TrainedCell",
    family: "KernelFamily",
    target: Sequence[Tensor],
    trained: float | None,
    bench: "Workbench",
    epochs: int,
) -> Row:
    tolerance, split = cell.run.tolerance, cell.run.definition["evaluation"]["threshold_split"]
    free = sum(each.numel() for each in target)
    row: dict[str, Any] = {"fitted": family.name, "free": free, "f1_free": _cell_f1(cell.run), "f1_trained": trained}
    row["epochs"] = epochs
    try:
        solution = _sized(family, [layer.spec for layer in cell.network.kernel_layers()], free)
        network = _network(cell, family, solution)
        errors = _fit(network, target)
    except KernbenchError as error:
        return row | {"reason": str(error)}
    row |= {
        "parameters": solution.count,
        "within": int(abs(solution.count - free) * 100 <= PERCENT * free),
        "settings": json.dumps(dict(solution.solved), sort_keys=True),
        "error": _together(errors, target),
        "errors": " ".join(f"{each:.4g}" for each in errors),
        "floor": max(float(values[tolerance]) for values in cell.run.lines.floors.values()) if cell.run.lines else None,
    }
    row["f1_fitted"] = bench.scored(network, split).splits[TEST].at(tolerance)
    if epochs:
        row["f1_tuned"] = _tuned(cell, network, bench, epochs)
    return row


def _sized(family: "KernelFamily", specs: Sequence[Any], free: int) -> Solution:
    """As many parameters as the free taps within 2 %; else the most that are fewer; else the fewest there are."""
    try:
        return solve(family, specs, free)
    except KernbenchError:
        return largest(family, specs, free)


def _network(cell: "TrainedCell", family: "KernelFamily", solution: Solution) -> Network:
    """The network of a cell with another family, its start drawn from the seed of the cell."""
    plan = cell.trained.facts["network"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed("initialization", int(cell.run.params["seed"])))
        sizes = int(plan["kernel_size"]), int(plan["channels"]), dict(solution.hyper), int(plan["depth"])
        network = build(network_asked(plan), family, *sizes, str(plan["gain"]))
    with torch.no_grad():
        for block, given in zip(network.blocks, cell.network.blocks, strict=True):
            layer, from_layer = block[0], given[0]  # type: ignore[index]  # Sequential
            if layer.bias is not None and from_layer.bias is not None:
                layer.bias.copy_(from_layer.bias)
            block[1].load_state_dict(given[1].state_dict())  # type: ignore[index]
        network.head.load_state_dict(cell.network.head.state_dict())
    return network


def _fit(network: Network, target: Sequence[Tensor]) -> list[float]:
    """Fit every layer, in place; the relative l2 error of each."""
    errors = []
    for layer, wanted in zip(network.kernel_layers(), target, strict=True):
        dtype = layer.dtype
        layer.double().train()
        names = [f"layer.{name}" for name, each in layer.named_parameters() if each.requires_grad and name != "bias"]
        before = {name: each.requires_grad for name, each in layer.named_parameters()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a fit that leaves the range of a family on its way
            errors.append(fit_layer(_Kernels(layer), names, wanted, constrain=_put_back))
        for name, each in layer.named_parameters():
            each.requires_grad_(before[name])
        layer.to(dtype)
        layer.checked_kernel()
    return errors


def _put_back(kernels: nn.Module) -> None:
    """Constraints of the family, after each step of a fit."""
    assert isinstance(kernels, _Kernels)
    constrain([kernels.layer.kernel_module])


def _tuned(cell: "TrainedCell", network: Network, bench: "Workbench", epochs: int) -> float | None:
    """F1 after some epochs; None where training diverged."""
    definition, params = cell.run.definition, cell.run.params
    settings, loss = training_of(definition, params)
    shorter = dataclasses.replace(
        settings,
        epochs=epochs,
        decay_epoch=max(1, round(settings.decay_epoch * epochs / settings.epochs)),
        validate_every=epochs,
    )
    try:
        _train(network, bench, loss, shorter, derived_seed("order", int(params["seed"])), cell.run.tolerance)
        return bench.scored(network, definition["evaluation"]["threshold_split"]).splits[TEST].at(cell.run.tolerance)
    except KernbenchError:
        return None


def _train(network: Network, bench: "Workbench", loss: Any, settings: Settings, seed: int, tolerance: int) -> None:
    hooks = Hooks(validate=lambda net: bench.validate(net, loss, tolerance))
    train(network, bench.training_data(), bench.scored_loss(loss), settings, hooks, order_seed=seed)


def _together(errors: Sequence[float], target: Sequence[Tensor]) -> float:
    """Relative l2 error of all layers together."""
    squares = [float(each.double().square().sum()) for each in target]
    return float((sum(e**2 * s for e, s in zip(errors, squares, strict=True)) / sum(squares)) ** 0.5)


def _cell_f1(run: Run) -> float:
    return float(line_f1(run.scores[TEST], run.tolerance).mean())


def _trained_f1(run: Run, family: str, others: Iterable[Run]) -> float | None:
    """F1 of a family at the same point with the same seed, trained from the start."""
    wanted: Mapping[str, object] = run.params
    same = [each for each in others if each.base == run.base and each.family == family and each.params == wanted]
    scored = [each for each in same if each.status == OK and TEST in each.scores]
    return _cell_f1(scored[0]) if scored else None
