"""Training: one step is what Adam on the summed loss gives; a resumed run equals an uninterrupted one, bit for bit.

Long because nearly every test trains the same small network on the same lines, by the functions at the top.
"""

import copy
import itertools
import math

import pytest
import torch
from torch import nn

from kernbench.errors import DivergedError
from kernbench.store.files.checkpoints import CellCheckpoints
from kernbench.training import loop
from kernbench.training.batches import TrainingData
from kernbench.training.loop import fits
from kernbench.training.settings import Hooks, Interrupted, Settings

SETTINGS = Settings(
    epochs=6,
    batch_size=4,
    update="per-batch",
    rate=1e-2,
    decay_epoch=4,
    decay_factor=0.1,
    validate_every=2,
)
LINES, SAMPLES = 10, 48


def loss(output, target):
    """A loss of two terms."""
    terms = {"far": (output - target).abs().mean(), "high": output.square().mean()}
    return terms["far"] + 0.5 * terms["high"], terms


def train(net, lines, *given, **named):
    """Train with that loss."""
    return loop.train(net, lines, loss, *given, **named)


def changed(**values):
    """The settings with some values replaced."""
    return Settings(**vars(SETTINGS) | values)


def network(seed=0):
    """A small network with batch statistics, as the real ones have."""
    torch.manual_seed(seed)
    # a bias before batch norm has no gradient but rounding, which Adam would blow up to full steps
    first = nn.Conv1d(1, 4, 5, padding=2, bias=False)
    return nn.Sequential(first, nn.BatchNorm1d(4), nn.ReLU(), nn.Conv1d(4, 1, 5, padding=2))


def data(renew=False):
    """Lines whose bubbles can be read off the voltage."""
    generator = torch.Generator().manual_seed(1)
    counts = (torch.rand(LINES, SAMPLES, generator=generator) < 0.1).float()
    clean = counts + 0.1 * torch.randn(LINES, SAMPLES, generator=generator)

    def noisy(seed):
        return clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))

    return TrainingData(clean, counts, noisy if renew else None)


def hooks(**values):
    """Hooks with a validation that is a function of the weights."""
    given = {"validate": lambda net: (float(sum(p.detach().abs().sum() for p in net.parameters())), 0.5)}
    return Hooks(**given | values)


def same(first, second):
    """Whether two nested states are equal bit for bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def without_seconds(curve):
    """The curve without its clock."""
    return [{key: value for key, value in vars(row).items() if key != "seconds"} for row in curve]


@pytest.mark.parametrize("update", ["per-batch", "per-epoch"])
def test_the_loss_goes_down_and_training_ends_in_evaluation_mode(update):
    net = network()
    curve = train(net, data(), changed(epochs=40, decay_epoch=99, update=update), hooks(), order_seed=0)
    assert curve[-1].train_loss < 0.7 * curve[0].train_loss
    assert [row.epoch for row in curve] == list(range(40))
    assert not net.training


def manual_epoch(net, lines, order_seed, per_batch, rate=SETTINGS.rate):
    """One epoch by hand: Adam by its formula, no torch.optim."""
    net.train()
    order = torch.randperm(LINES, generator=torch.Generator().manual_seed(order_seed))
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in net.parameters()]
    losses, step = [], 0

    def update():
        for parameter, (mean, square) in zip(net.parameters(), moments, strict=True):
            mean.mul_(0.9).add_(0.1 * parameter.grad)
            square.mul_(0.999).add_(0.001 * parameter.grad**2)
            corrected = (square / (1 - 0.999**step)).sqrt() + 1e-8
            with torch.no_grad():
                parameter.sub_(rate * mean / (1 - 0.9**step) / corrected)
            parameter.grad = None

    for rows in order.split(SETTINGS.batch_size):
        output = net(lines.signal[rows].unsqueeze(1))
        value, _ = loss(output, lines.target[rows].unsqueeze(1))
        value.backward()  # gradients add up until they are used
        losses.append(value.item())
        if per_batch:
            step += 1
            update()
    if not per_batch:
        step += 1
        update()
    return losses


@pytest.mark.parametrize("update", ["per-batch", "per-epoch"])
def test_an_epoch_equals_adam_by_its_formula(update):
    net, mine, lines = network(), network(), data()
    curve = train(net, lines, changed(epochs=1, update=update), hooks(), order_seed=3)
    losses = manual_epoch(mine, lines, 3, update == "per-batch")
    assert curve[0].train_loss == pytest.approx(sum(losses) / len(losses), rel=1e-6)
    for parameter, wanted in zip(net.parameters(), mine.parameters(), strict=True):
        torch.testing.assert_close(parameter, wanted, rtol=1e-4, atol=1e-6)


def test_a_per_epoch_update_depends_on_the_sum_of_batches_not_on_their_order():
    first = nn.Conv1d(1, 1, 5, padding=2)  # without batch statistics, which differ between batches of other lines
    second = copy.deepcopy(first)
    settings = changed(epochs=1, update="per-epoch", batch_size=1)
    for net, seed in ((first, 0), (second, 1)):
        train(net, data(), settings, hooks(), order_seed=seed)
    torch.testing.assert_close(first.weight, second.weight, rtol=1e-5, atol=1e-7)


def test_the_rate_decays_from_its_epoch_on():
    curve = train(network(), data(), SETTINGS, hooks(), order_seed=0)
    assert [row.rate for row in curve] == pytest.approx([1e-2] * 4 + [1e-3] * 2)


def test_a_validation_pass_is_made_every_so_often_and_in_the_last_epoch():
    modes = []
    noted = hooks(validate=lambda net: modes.append(net.training) or (1.0, 0.5))
    curve = train(network(), data(), changed(epochs=5, validate_every=2), noted, order_seed=0)
    assert [row.val_f1 for row in curve] == [None, 0.5, None, 0.5, 0.5]
    assert modes == [False] * 3


def test_the_order_of_batches_depends_on_its_seed_only():
    curves = []
    for noise in (1, 2):
        net = network()
        torch.manual_seed(noise)  # the global generator must not matter
        curves.append(without_seconds(train(net, data(), SETTINGS, hooks(), order_seed=5)))
    assert curves[0] == curves[1]
    assert curves[0] != without_seconds(train(network(), data(), SETTINGS, hooks(), order_seed=6))


def test_fresh_noise_is_drawn_every_epoch_from_the_runs_own_generator():
    seen = []
    lines = data(renew=True)
    renew = lines.renew
    noted = TrainingData(lines.signal, lines.target, lambda seed: seen.append(renew(seed)) or seen[-1])
    train(network(), noted, SETTINGS, hooks(), order_seed=0)
    assert len(seen) == SETTINGS.epochs
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(seen, 2))


@pytest.mark.parametrize("question", [None, 7])
def test_noise_made_ahead_is_the_noise_made_in_time(question):
    """Also for a run that is stopped and resumed, whose thread has made noise that is not asked for."""
    lines = data(renew=True)
    ahead = TrainingData(lines.signal, lines.target, lines.renew, ahead=True)
    first, second, saved = network(), network(), []
    curve = train(first, lines, SETTINGS, hooks(), order_seed=0)
    if question is None:
        again = train(second, ahead, SETTINGS, hooks(), order_seed=0)
    else:
        with pytest.raises(Interrupted):
            train(second, ahead, SETTINGS, hooks(save=saved.append, stop=StopAfter(question)), order_seed=0)
        again = train(second, ahead, SETTINGS, hooks(), order_seed=0, resume=saved[-1])
    assert without_seconds(again) == without_seconds(curve)
    assert same(first.state_dict(), second.state_dict())


def test_noise_made_ahead_is_made_once_per_epoch_and_its_error_is_raised():
    lines, seeds = data(renew=True), []
    ahead = TrainingData(lines.signal, lines.target, lambda seed: seeds.append(seed) or lines.renew(seed), ahead=True)
    train(network(), ahead, SETTINGS, hooks(), order_seed=0)
    assert len(seeds) == len(set(seeds)) == SETTINGS.epochs

    def fails(seed):
        if len(seeds) > SETTINGS.epochs + 2:
            raise MemoryError("no room for noise")
        return lines.renew(seeds.append(seed) or seed)

    with pytest.raises(MemoryError, match="no room"):
        train(network(), TrainingData(lines.signal, lines.target, fails, ahead=True), SETTINGS, hooks(), order_seed=0)


class StopAfter:
    """Says stop at one question, counted from 0, and never again."""

    def __init__(self, question):
        self._question, self._asked = question, -1

    def __call__(self):
        self._asked += 1
        return self._asked == self._question


def uninterrupted(settings, renew):
    """Final state and curve of a run in one piece."""
    net, saved = network(), []
    curve = train(net, data(renew), settings, hooks(save=saved.append, save_seconds=0.0), order_seed=2)
    return copy.deepcopy(net.state_dict()), saved[-1], curve


@pytest.mark.parametrize("renew", [False, True], ids=["clean", "fresh noise"])
@pytest.mark.parametrize("update", ["per-batch", "per-epoch"])
@pytest.mark.parametrize("question", [0, 1, 3, 7, 16, 17])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, update, renew, question):
    settings = changed(update=update)
    weights, last, curve = uninterrupted(settings, renew)
    kept = CellCheckpoints(tmp_path, "key", 0)
    stopped = hooks(save=lambda state: kept.save(state | {"digest": "d"}), stop=StopAfter(question))
    with pytest.raises(Interrupted):
        train(network(), data(renew), settings, stopped, order_seed=2)
    torch.manual_seed(999)  # another process
    saved, again = [], network(seed=8)
    state = kept.newest("d")
    assert fits(again, state)
    resumed = train(
        again, data(renew), settings, hooks(save=saved.append, save_seconds=0.0), order_seed=77, resume=state
    )
    assert same(again.state_dict(), weights)
    assert without_seconds(resumed) == without_seconds(curve)
    for key in ("optimizer", "scheduler", "order", "epoch"):
        assert same(saved[-1][key], last[key]), key


def test_global_random_numbers_of_a_network_go_on_where_they_stopped(tmp_path):
    def dropping():
        torch.manual_seed(4)
        return nn.Sequential(nn.Conv1d(1, 8, 5, padding=2), nn.Dropout(0.5), nn.Conv1d(8, 1, 1))

    whole, states = dropping(), []
    save = hooks(save=lambda state: states.append(copy.deepcopy(state)), save_seconds=0.0)
    train(whole, data(), SETTINGS, save, order_seed=0)
    again = dropping()
    torch.manual_seed(31)
    train(again, data(), SETTINGS, hooks(), order_seed=0, resume=states[2])
    assert same(again.state_dict(), whole.state_dict())


def test_restored_epochs_are_reported_again():
    states, reported = [], []
    save = hooks(save=lambda state: states.append(copy.deepcopy(state)), save_seconds=0.0)
    train(network(), data(), SETTINGS, save, order_seed=0)
    report = hooks(on_epoch=lambda row: reported.append(row.epoch))
    train(network(), data(), SETTINGS, report, order_seed=0, resume=states[3])
    assert reported == list(range(SETTINGS.epochs))


def test_a_finished_checkpoint_resumes_to_its_end():
    weights, last, curve = uninterrupted(SETTINGS, renew=False)
    net = network(seed=3)
    assert without_seconds(train(net, data(), SETTINGS, hooks(), order_seed=2, resume=last)) == without_seconds(curve)
    assert same(net.state_dict(), weights)
    assert not net.training


def test_an_interruption_saves_the_start_of_its_epoch():
    saved = []
    batches = math.ceil(LINES / SETTINGS.batch_size)
    stop = hooks(save=saved.append, stop=StopAfter(2 * batches + 1))
    with pytest.raises(KeyboardInterrupt, match="epoch 2"):  # so that nothing swallows it
        train(network(), data(), SETTINGS, stop, order_seed=0)
    assert [(state["epoch"], len(state["curve"])) for state in saved] == [(2, 2)]
    with pytest.raises(Interrupted):
        train(network(), data(), SETTINGS, hooks(stop=lambda: True), order_seed=0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_a_divergence_with_the_curve_up_to_there_and_is_not_saved(value):
    lines, calls, saved = data(), itertools.count(), []
    bad = TrainingData(lines.signal, lines.target, lambda _seed: lines.signal * (value if next(calls) == 3 else 1))
    with pytest.raises(DivergedError, match="epoch 3") as error:
        train(network(), bad, SETTINGS, hooks(save=saved.append, save_seconds=0.0), order_seed=0)
    assert [row.epoch for row in error.value.curve] == [0, 1, 2]
    assert len(saved) == 3


def test_one_bad_batch_is_enough():
    lines = data()
    lines.signal[7] = math.nan
    with pytest.raises(DivergedError, match="training loss became nan"):
        train(network(), lines, changed(update="per-epoch"), hooks(), order_seed=0)


def refuses(_net):
    raise DivergedError("the network's output is NaN or infinite")


@pytest.mark.parametrize(
    ("validate", "said"),
    [(lambda _net: (math.inf, 0.0), "validation loss became inf in epoch 1"), (refuses, r"output is NaN .*epoch 1")],
)
def test_a_validation_pass_that_is_not_finite_is_a_divergence_that_keeps_the_curve(validate, said):
    with pytest.raises(DivergedError, match=said) as error:
        train(network(), data(), SETTINGS, hooks(validate=validate), order_seed=0)
    assert [row.epoch for row in error.value.curve] == [0]


def test_a_checkpoint_names_the_terms_of_its_curve_as_columns():
    """As those of the first kernbench, whose cells go on."""
    _, last, curve = uninterrupted(SETTINGS, renew=False)
    names = ["epoch", "train_loss", "far", "high", "val_loss", "val_f1", "rate", "seconds"]
    assert [list(row) for row in last["curve"]] == [names] * len(last["curve"])
    assert last["curve"][0]["far"] == curve[0].terms["far"]


def test_a_checkpoint_of_another_network_does_not_fit():
    *_, state = uninterrupted(changed(epochs=1), renew=False)[1:2]
    assert fits(network(), state)
    assert not fits(nn.Conv1d(1, 1, 3), state)
    assert not fits(nn.Sequential(nn.Conv1d(1, 4, 7), *list(network())[1:]), state)
    assert not fits(network(), {"digest": "d"})


def test_training_that_has_enough_ends_after_that_epoch_and_is_the_beginning_of_the_whole():
    whole = train(network(), data(), SETTINGS, hooks(), order_seed=0)
    part = train(network(), data(), SETTINGS, hooks(enough=StopAfter(2)), order_seed=0)
    assert without_seconds(part) == without_seconds(whole)[:3]
    asked = []
    train(network(), data(), SETTINGS, hooks(enough=lambda: asked.append(1)), order_seed=0)
    assert len(asked) == SETTINGS.epochs - 1  # not after the last one
