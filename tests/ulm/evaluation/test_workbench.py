import numpy as np
import pytest
import torch
from torch import nn

from kernbench.errors import DivergedError
from kernbench.ulm.data.recipe import Split
from kernbench.ulm.evaluation.noise import Noise, noise_seed
from kernbench.ulm.evaluation.workbench import Workbench, common_line
from kernbench.ulm.pairing.decoders import Decoder
from kernbench.ulm.pairing.points import label_points
from kernbench.ulm.pairing.protocol import WIDTHS, choose_matched, evaluate_matched
from kernbench.ulm.scoring.loss import TrainingLoss, dual_loss
from kernbench.ulm.scoring.protocol import THRESHOLDS, choose_thresholds, evaluate, score
from kernbench.ulm.simulator.noise import add_noise


def split(name, lines, seed, length=200):
    rng = np.random.default_rng(seed)
    voltage = rng.normal(size=(lines, length)).astype(np.float32)
    counts = (rng.random((lines, length)) < 0.05).astype(np.uint8)
    return Split(name, voltage, counts, np.full(lines, 10), np.full(lines, 1e5), np.zeros(lines, int))


@pytest.fixture
def splits():
    return {"train": split("train", 40, 1), "validation": split("validation", 37, 2), "test": split("test", 5, 3)}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Conv1d(1, 1, 9, padding=4)


def all_lines(network, voltage):
    with torch.no_grad():
        return network(torch.from_numpy(voltage).unsqueeze(1)).squeeze(1)


def test_a_validation_pass_gives_the_mean_loss_over_lines_and_the_best_f1(splits, network):
    bench = Workbench(splits, Noise(0.0, seed=7))
    loss, f1 = bench.validate(network, TrainingLoss(), 4)
    output = all_lines(network, splits["validation"].voltage)
    counts = torch.from_numpy(splits["validation"].counts.astype(np.float32))
    # both terms are means over lines, so batches of unequal size are weighted by their lines
    assert loss == pytest.approx(float(dual_loss(output, counts, 1.0, 1.6, 0.1)[0]), rel=1e-5)
    assert f1 == pytest.approx(float(score(output, counts, (4,), THRESHOLDS).mean_f1.max()))


def test_thresholds_come_from_the_named_split_and_batches_change_no_score(splits, network):
    bench = Workbench(splits, Noise(0.0, seed=7))
    for name in ("train", "validation"):
        scored = bench.scored(network, name)
        table = score(all_lines(network, splits[name].voltage), splits[name].counts)  # we predict in two batches
        choice = choose_thresholds(table, name)
        assert np.array_equal(scored.choice.thresholds, choice.thresholds)
        for split, found in scored.splits.items():
            expected = evaluate(all_lines(network, splits[split].voltage), splits[split].counts, choice)
            assert all(np.array_equal(getattr(found, each), getattr(expected, each)) for each in ("tp", "fn", "fp"))


def test_one_to_one_scores_are_chosen_on_the_named_split_and_read_on_the_test_lines(splits, network):
    bench = Workbench(splits, Noise(0.0, seed=7))
    found = bench.matched(bench.scored(network, "validation"))
    truths = {name: label_points(each.counts) for name, each in splits.items()}
    outputs = {name: all_lines(network, each.voltage).numpy() for name, each in splits.items()}
    choice = choose_matched(outputs["validation"], truths["validation"], "validation", Decoder(), WIDTHS)
    expected = evaluate_matched(outputs["test"], truths["test"], choice)
    assert found["f1"] == pytest.approx(expected.summary.mean.tolist())
    assert found["width"] == 10 * [choice.decoder.width]
    assert found["rmse_samples"][0] in (0.0, None)  # within a tolerance of 0 a pair cannot err


def test_the_example_is_the_line_of_median_density_whatever_the_network():
    bubbles = [5, 1, 3, 2, 4]
    counts = np.zeros((5, 10), np.uint8)
    for row, count in zip(counts, bubbles, strict=True):
        row[:count] = 1
    assert common_line(counts) == bubbles.index(np.median(bubbles))


@pytest.mark.parametrize("name", ["test", "validation", "train"])
def test_noise_depends_on_seed_and_name_of_the_split_and_on_nothing_else(splits, name):
    lines = Workbench(splits, Noise(8.0, seed=7)).lines(name)[0]
    few = Split(name, *(each[:2] for each in list(vars(splits[name]).values())[1:]))
    assert torch.equal(Workbench({name: few}, Noise(8.0, seed=7)).lines(name)[0], lines[:2])  # no other split or line
    assert not torch.equal(lines, Workbench(splits, Noise(8.0, seed=8)).lines(name)[0])
    renamed = {"other": splits[name]}
    assert not torch.equal(lines, Workbench(renamed, Noise(8.0, seed=7)).lines("other")[0])


def test_the_seed_of_the_noise_stays_the_same_forever():
    # stored scores depend on it; the number is that of `kernbench evaluate` since its first version
    assert noise_seed(0, "test") == 2444712744
    assert noise_seed(0, "test") == int(np.random.SeedSequence([0, 116, 101, 115, 116]).generate_state(1)[0])


def test_training_noise_depends_on_its_seed_alone(splits):
    data = Workbench(splits, Noise(8.0, seed=7)).training_data()
    first, second = data.renew(3), data.renew(4)
    assert not torch.equal(first, second)
    assert torch.equal(first, data.renew(3))
    clean = add_noise(splits["train"].voltage, 1e-9, 0)
    assert float((first - torch.from_numpy(clean)).std()) == pytest.approx(0.384 * 0.08 * 9.65, rel=0.1)


def test_test_lines_may_have_a_noise_level_of_their_own(splits):
    clean = Workbench(splits, Noise(0.0, seed=7))
    transfer = Workbench(splits, Noise(0.0, 8.0, 7))
    assert transfer.training_data().renew is None
    assert torch.equal(transfer.lines("validation")[0], clean.lines("validation")[0])
    assert torch.equal(transfer.lines("test")[0], Workbench(splits, Noise(8.0, seed=7)).lines("test")[0])
    silent = Workbench(splits, Noise(8.0, 0.0, 7))
    assert torch.equal(silent.lines("test")[0], clean.lines("test")[0])


def test_an_output_of_nan_is_divergence(splits, network):
    with torch.no_grad():
        network.weight.fill_(float("nan"))
    with pytest.raises(DivergedError):
        Workbench(splits, Noise(0.0, seed=7)).scored(network, "validation")


def test_the_curve_has_the_means_over_test_lines_at_every_tolerance_and_threshold(splits, network):
    bench = Workbench(splits, Noise(0.0, seed=7))
    found = bench.curve(bench.scored(network, "validation"))
    outputs, counts = all_lines(network, splits["test"].voltage).numpy(), splits["test"].counts
    assert len(found["thresholds"]) == 44
    assert np.diff(found["thresholds"]).min() > 0
    for tolerance, place in ((0, 0), (4, 12), (9, 20), (2, 43)):
        level = np.float32(found["thresholds"][place])
        lines = [_by_hand(z > level, y > 0, tolerance) for z, y in zip(outputs, counts, strict=True)]
        got = [found[name][tolerance][place] for name in ("precision", "recall", "f1")]
        assert got == pytest.approx(np.mean(lines, axis=0).tolist(), abs=1e-6)


def _by_hand(detected, labelled, tolerance):
    """Guarded precision, recall and F1 of a line, from the definition."""
    truths, detections = np.flatnonzero(labelled), np.flatnonzero(detected)
    near = np.abs(truths[:, None] - detections[None]) <= tolerance
    tp, fp = near.any(axis=1).sum(), (~near.any(axis=0)).sum()
    precision = tp / (tp + fp) if tp else 0.001
    recall = tp / len(truths) if tp else 0.001
    return precision, recall, 2 * precision * recall / (precision + recall)
