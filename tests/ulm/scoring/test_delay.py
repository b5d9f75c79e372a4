"""Labels that come a fixed time after their bubbles: what is scored is a shorter line, whatever the delay."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kernbench.errors import DataError
from kernbench.ulm.data.recipe import Split
from kernbench.ulm.evaluation.noise import Noise
from kernbench.ulm.evaluation.pair_card import matched_card
from kernbench.ulm.evaluation.scorecard import scorecard
from kernbench.ulm.evaluation.workbench import Workbench
from kernbench.ulm.line import SAMPLES
from kernbench.ulm.pairing.decoders import Decoder
from kernbench.ulm.pairing.points import label_points
from kernbench.ulm.pairing.protocol import MatchedChoice, evaluate_matched
from kernbench.ulm.scoring.delay import shifted
from kernbench.ulm.scoring.floors import blind_floors
from kernbench.ulm.scoring.loss import TrainingLoss
from kernbench.ulm.scoring.protocol import Choice, evaluate, score

LENGTH = 180
CHOICE = Choice("validation", np.arange(10), np.full(10, 0.5), np.zeros(10))
PAIRS = MatchedChoice("validation", np.arange(10), np.full(10, 0.5), np.zeros(10), Decoder(width=2))
delays = st.integers(0, 120)
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=25, deadline=None)


class Late(nn.Module):
    """Gives its input a number of samples later, and before that a constant."""

    def __init__(self, delay, before=0.0):
        super().__init__()
        self.delay, self.before = delay, before

    def forward(self, signal):
        kept = signal[..., : signal.shape[-1] - self.delay]
        return nn.functional.pad(kept, (self.delay, 0), value=self.before)


def lines(seed, name="test", number=3, length=LENGTH):
    """Lines whose voltage is a noisy copy of their labels."""
    rng = np.random.default_rng(seed)
    counts = (rng.random((number, length)) < 0.06).astype(np.uint8)
    voltage = (counts + rng.normal(0, 0.4, counts.shape)).astype(np.float32)
    return Split(name, voltage, counts, counts.sum(axis=1), np.full(number, 1e5), np.zeros(number, int))


def bench_of(split, delay, **given):
    return Workbench({split.name: split}, Noise(), delay=delay, **given)


def test_a_label_is_the_delay_after_its_bubble_and_the_last_bubbles_have_none():
    counts = np.array([[1, 0, 2, 0, 1, 1]], np.uint8)
    assert shifted(counts, 2).tolist() == [[0, 0, 1, 0, 2, 0]]
    assert shifted(counts, 0) is counts
    with pytest.raises(
        DataError, match="6 samples after their bubbles: expected lines of more samples, got lines of 6"
    ):
        shifted(counts, 6)


@few
@given(seeds, delays)
def test_floors_are_those_of_the_shifted_labels_and_of_a_line_that_ends_earlier(seed, delay):
    split = lines(seed)
    scored = bench_of(split, delay).at_its_rate("test")
    card = scorecard(evaluate(scored.counts.astype(float), scored.counts, CHOICE), scored)
    late, early = shifted(split.counts, delay)[:, delay:], split.counts[:, : LENGTH - delay]
    for truth in (late, early):
        floors = blind_floors(truth)
        assert [row.comb for row in card.rows] == floors["comb"].mean.tolist()
        assert [row.random for row in card.rows] == floors["random"].mean.tolist()


@few
@given(seeds, delays, st.sampled_from([0.5, 1, 2]))
def test_labels_as_output_have_no_error_at_any_delay_and_rate(seed, delay, factor):
    split = lines(seed)
    split.counts[:, 0] = 1  # a bubble that every delay keeps
    bench = bench_of(split, delay, factors={"test": factor})
    scored = bench.at_its_rate("test")
    output = np.array(scored.counts, np.float32).clip(0, 1)
    assert bench.evaluate(output, "test", CHOICE).mean_f1.tolist() == [1.0] * 10
    raw = MatchedChoice("validation", np.arange(10), np.full(10, 0.5), np.zeros(10), Decoder("raw"))
    rows = matched_card(output, scored, raw, factor=factor).rows
    assert {(row.f1, row.rmse_samples, row.bias_samples) for row in rows} == {(1.0, 0.0, 0.0)}


@few
@given(seeds, delays, st.floats(-2, 2))
def test_a_network_that_is_later_by_the_delay_scores_as_on_the_line_that_ends_earlier(seed, delay, before):
    split = lines(seed)
    bench = bench_of(split, delay)
    output = bench.output(Late(delay, before), "test")
    kept = LENGTH - delay
    assert np.array_equal(output, split.voltage[:, :kept])
    found, expected = bench.evaluate(output, "test", CHOICE), evaluate(output, split.counts[:, :kept], CHOICE)
    assert all(np.array_equal(getattr(found, each), getattr(expected, each)) for each in ("tp", "fn", "fp"))
    pairs = matched_card(output, bench.at_its_rate("test"), PAIRS).evaluation
    by_hand = evaluate_matched(output, label_points(split.counts[:, :kept]), PAIRS)
    assert all(np.array_equal(getattr(pairs, each), getattr(by_hand, each)) for each in ("tp", "fn", "fp"))


@few
@given(seeds, st.integers(1, 120))
def test_bubbles_of_the_last_samples_and_outputs_of_the_first_neither_reward_nor_punish(seed, delay):
    found = []
    for before, ends in ((0.0, lambda last: last), (3.0, lambda last: 1 - last)):
        splits = {name: lines(seed, name) for name in ("train", "validation", "test")}
        for split in splits.values():
            split.counts[:, LENGTH - delay :] = ends(split.counts[:, LENGTH - delay :])
        bench, network = Workbench(splits, Noise(), delay=delay), Late(delay, before)
        data = bench.training_data()
        loss = bench.scored_loss(TrainingLoss())(network(data.signal[:, None]), data.target[:, None])[0]
        scored = bench.scored(network, "validation")
        counts = [each.tolist() for split in scored.splits.values() for each in (split.tp, split.fn, split.fp)]
        floors = [each.mean.tolist() for each in blind_floors(bench.at_its_rate("test").counts).values()]
        passed = bench.validate(network, TrainingLoss(), 4)
        found.append((float(loss), passed, scored.choice.thresholds.tolist(), counts, floors, bench.curve(scored)))
        found[-1] += (bench.matched(scored),)
    assert found[0] == found[1]


@pytest.mark.parametrize("delay", [43, 120])
def test_floors_of_a_whole_line_do_not_depend_on_the_delay(delay):
    counts = np.zeros((2, SAMPLES), np.uint8)
    counts[:, 312:8177] = np.random.default_rng(3).random((2, 7865)) < 0.06
    split = Split("test", counts.astype(np.float32), counts, counts.sum(axis=1), np.full(2, 1e5), np.zeros(2, int))
    combs = []
    for each in (0, delay):
        scored = bench_of(split, each).at_its_rate("test")
        card = scorecard(evaluate(scored.counts.astype(float), scored.counts, CHOICE), scored)
        combs.append([row.comb for row in card.rows])
    assert combs[0] == combs[1]  # all labels are kept, and the comb still starts with the support


def test_without_a_delay_nothing_is_copied_or_cut():
    split, loss = lines(1), TrainingLoss()
    bench = bench_of(split, 0)
    assert bench.at_its_rate("test") is split
    assert bench.scored_loss(loss) is loss
    assert bench.output(nn.Identity(), "test").shape == split.voltage.shape


def test_the_loss_in_training_is_that_of_the_scored_samples():
    split, delay = lines(2, "train"), 43
    bench = bench_of(split, delay)
    data, loss = bench.training_data(), bench.scored_loss(TrainingLoss())
    output = torch.randn(3, 1, LENGTH, generator=torch.Generator().manual_seed(0))
    expected = TrainingLoss()(output[..., delay:], data.target[:, None])[0]
    assert torch.equal(loss(output, data.target[:, None])[0], expected)
    assert data.signal.shape == (3, LENGTH)
    assert torch.equal(data.target, torch.from_numpy(split.counts[:, : LENGTH - delay].astype(np.float32)))


def test_the_example_shows_labels_where_they_are_trained():
    split = lines(3)
    voltage, labels = bench_of(split, 43).lines_of_training("test")
    assert voltage.shape == labels.shape == split.counts.shape
    assert np.array_equal(labels.numpy(), shifted(split.counts, 43))
    assert np.array_equal(score(labels, split.counts, (43,), (0.5,)).fp, np.zeros((1, 1, 3)))
