"""The peers of the metrics' benchmark count the same, and memory is that of the call alone."""

import pytest
import torch

from kernbench.bench import metrics, timing
from kernbench.errors import KernbenchError
from kernbench.ulm.scoring.protocol import THRESHOLDS, TOLERANCES
from kernbench.ulm.scoring.tolerance_counts import tolerance_counts


def test_both_ways_to_count_agree():
    output, counts = metrics.example_lines(3, 400)
    pairs = zip(
        metrics.pair_by_pair(output, counts), tolerance_counts(output, counts, TOLERANCES, THRESHOLDS), strict=True
    )
    assert all(torch.equal(one, other) for one, other in pairs)


def test_the_table_names_ways_and_ratios_and_a_disagreement_is_an_error(monkeypatch):
    lines = metrics.example_lines(2, 200)
    monkeypatch.setattr(metrics, "example_lines", lambda _lines: lines)
    (ours, _, one), (theirs, seconds, _) = metrics.table(lines=2, turns=1).rows
    assert (ours, theirs, one) == ("one pass", "pair by pair", 1.0)
    assert seconds > 0
    wrong = [each + 1 for each in metrics.pair_by_pair(*lines)]
    monkeypatch.setattr(metrics, "pair_by_pair", lambda *_: wrong)
    with pytest.raises(KernbenchError, match="disagree"):
        metrics.table(lines=2, turns=1)


def test_peers_take_turns():
    calls = []
    timings = timing.interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, turns=3, warm_up=1)
    assert calls == ["a", "b"] * 4
    assert timings.keys() == {"a", "b"}


def take(mebibytes):
    """Hold as much memory, written to."""
    return torch.ones(mebibytes * 2**18).sum()


@pytest.mark.slow
def test_peak_memory_is_that_of_the_call_in_a_process_of_its_own(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(__file__).rpartition("/")[0])
    held = torch.ones(2**27)  # of this process, which the other must not count
    peak = timing.fresh_peak("test_bench_metrics:take", 300)
    assert held.numel()
    assert 300 < peak < 330
    with pytest.raises(KernbenchError, match=r"failed in its own process: .*missing"):
        timing.fresh_peak("test_bench_metrics:missing")
