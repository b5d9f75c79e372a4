"""`analyze kernels` on networks whose kernels are known: planted stencils, random ones, three taps, several seeds."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch

from kernbench.analysis.clusters import can_cluster
from kernbench.analysis.identification import LEVEL
from kernbench.analysis.stencils import STENCILS, families
from kernbench.networks.network import build
from kernbench.report.analyses.kernels import KERNELS_ANALYSIS, measure
from kernbench.report.analyses.kernels_tables import ANY, NOTHING, show
from kernbench.report.analyses.trained_cells import TrainedCell

needs_sklearn = pytest.mark.skipif(not can_cluster(), reason="scikit-learn, the extra `analysis`, is not installed")


def network(size, channels=8, seed=0):
    torch.manual_seed(seed)
    return build("shallow", "discrete", size, channels=channels, depth=2, hyper={})


def cell(last, first=None):
    return TrainedCell(run=None, trained=SimpleNamespace(network=last, facts={}), start=first)


def planted(size, stencils, seed=0, channels=8):
    """A network whose kernels are these stencils in turn, anywhere, of any sign and size, with 10 % of noise."""
    made, rng = network(size, channels, seed), np.random.default_rng(seed)
    for layer in made.kernel_layers():
        weight = layer.kernel_module.weight
        kernels = rng.standard_normal((weight.shape[0] * weight.shape[1], size))
        kernels /= 10 * np.linalg.norm(kernels, axis=1, keepdims=True)
        for at in range(len(kernels)):
            taps = stencils[at % len(stencils)].taps
            shift = rng.integers(0, size - len(taps) + 1)
            kernels[at, shift : shift + len(taps)] += rng.choice([-1, 1]) * taps
        kernels *= rng.uniform(0.1, 3, (len(kernels), 1))
        weight.data.copy_(torch.from_numpy(kernels.reshape(weight.shape)))
    return made


def rows_of(found, table="kernels", **wanted):
    return [row for row in found[table] if all(row.get(name) == value for name, value in wanted.items())]


def as_of(found, seed, size):
    """The rows as the command keeps them."""
    about = {"study": "s", "cell": f"kernel_size={size},seed={seed}", "family": "discrete", "kernel_size": size}
    return {table: [{**about, "seed": seed, "started": "2031", **row} for row in rows] for table, rows in found.items()}


def together(*parts):
    return {table: [row for part in parts for row in part[table]] for table in KERNELS_ANALYSIS.tables}


@pytest.mark.parametrize("size", [9, 33])
def test_planted_stencils_are_named_right_layer_by_layer(size):
    found = measure(cell(planted(size, STENCILS), network(size)))
    for layer, kernels in ((1, 8), (2, 64)):
        (best,) = rows_of(found, layer=layer, stage="trained", atom=ANY)
        assert best["kernels"] == kernels
        assert best["named"] >= 0.95
        assert best["residual"] == pytest.approx(0.1, abs=0.02)
    # each name has the share that was planted, in all but one kernel in twenty
    order = [next(name for name, group in families().items() if STENCILS[at % 19] in group) for at in range(64)]
    wanted = {name: order.count(name) / 64 for name in order}
    shares = {row["atom"]: row["named"] for row in rows_of(found, layer=2, stage="trained") if row["atom"] != ANY}
    assert sum(abs(shares.get(name, 0) - share) for name, share in wanted.items()) <= 2 * 0.05
    assert all(row["p"] < 1e-3 for row in rows_of(found, layer=2, stage="trained") if row["named"] > 0.02)


def test_random_kernels_have_no_names_and_learned_nothing():
    last, first = network(33, channels=30, seed=1), network(33, channels=30, seed=2)
    for layer in (*first.kernel_layers(), *last.kernel_layers()):
        torch.nn.init.normal_(layer.kernel_module.weight)
    found = measure(cell(last, first))
    for stage in ("start", "trained"):
        (best,) = rows_of(found, layer=2, stage=stage, atom=ANY)
        assert best["kernels"] == 512
        assert best["named"] * 512 <= scipy.stats.binom.isf(1e-3, 512, LEVEL)
        assert best["p"] > 1e-3
        # the chance line stands where these kernels are
        assert best["cosine"] == pytest.approx(best["chance_median"], abs=0.02)
    assert all(row.get("learned_p", 1) > 0.05 for row in found["kernels"])


def test_names_that_training_gave_are_told_from_those_of_the_start():
    laplacian = [each for each in STENCILS if each.name == "second difference"]
    name = next(name for name, group in families().items() if laplacian[0] in group)
    learned = measure(cell(planted(17, laplacian), network(17)))
    (row,) = rows_of(learned, layer=2, stage="trained", atom=name)
    assert row["learned_p"] < 1e-3
    assert rows_of(learned, layer=2, stage="start", atom=name)[0]["named"] < 0.05
    kept = measure(cell(planted(17, laplacian, seed=1), planted(17, laplacian, seed=2)))
    (row,) = rows_of(kept, layer=2, stage="trained", atom=name)
    assert row["named"] > 0.95
    assert row["learned_p"] == 1
    unknown = measure(cell(planted(17, laplacian)))
    assert {row["stage"] for row in unknown["kernels"]} == {"trained"}
    assert "learned_p" not in rows_of(unknown, layer=2, atom=name)[0]


def test_from_three_taps_the_table_says_that_nothing_can_be_concluded():
    short = [each for each in STENCILS if len(each.taps) <= 3]
    found = measure(cell(planted(3, short), network(3)))
    assert all(row.get("named") is row.get("p") is row.get("learned_p") is None for row in found["kernels"])
    assert all(row["p"] is None for row in found["kernel_groups"])
    layers, names, *_ = show(as_of(found, 0, 3))
    assert [row[4] for row in layers.rows] == [NOTHING] * 2
    assert names.rows == []
    # and random ones look like stencils, too: the median best |cos| of the chance line
    assert rows_of(found, atom=ANY)[0]["chance_median"] == pytest.approx(0.953, abs=0.01)


def test_only_several_cells_decide_what_was_learned():
    box = [each for each in STENCILS if each.name == "mean of 5"]
    cells = [as_of(measure(cell(planted(17, box, seed), network(17, seed=seed))), seed, 17) for seed in range(3)]
    _, one, *_ = show(cells[0])
    _, several, *_ = show(together(*cells))
    assert {row[3]: row[-1] for row in one.rows if row[2] == "2"}["mean of 5"] == "–"
    assert {row[3]: row[-1] for row in several.rows if row[2] == "2"}["mean of 5"] == "< 0.001"
    same = [as_of(measure(cell(planted(17, box, seed), planted(17, box, seed + 9))), seed, 17) for seed in range(3)]
    _, kept, *_ = show(together(*same))
    assert float({row[3]: row[-1] for row in kept.rows if row[2] == "2"}["mean of 5"]) > 0.2


def test_a_layer_of_zeros_has_no_names_and_no_share():
    dead = network(17)
    for layer in dead.kernel_layers():
        layer.kernel_module.weight.data.zero_()
    found = measure(cell(dead, network(17)))
    (row,) = rows_of(found, layer=1, stage="trained", atom=ANY)
    assert (row["kernels"], row["weak"], row.get("named")) == (0, 8, None)
    assert found["kernel_plane"] == []
    assert next(iter(show(as_of(found, 0, 17)))).rows[0][5] == "–"
    assert KERNELS_ANALYSIS.draw(as_of(found, 0, 17)) is not None


@needs_sklearn
def test_planted_groups_are_found_with_their_stencil_and_where_they_were_before():
    two = [each for each in STENCILS if each.name in ("first difference", "mean of 3")]
    made = planted(17, two)
    for layer in made.kernel_layers():
        weight = layer.kernel_module.weight.data.view(-1, 17)
        for at in range(len(weight)):  # all at one place, so that there are two groups
            weight[at] = torch.from_numpy(np.pad(two[at % 2].taps, (6, 11 - len(two[at % 2].taps)))) + 0.02 * weight[at]
    found = measure(cell(made, made))
    rows = rows_of(found, "kernel_groups", layer=2, stage="trained")
    assert {row["atom"] for row in rows} == {"first difference", "mean of 3"}
    assert [row["kernels"] for row in rows] == [32, 32]
    assert all(row["silhouette"] > 0.8 and row["silhouette_chance"] < 0.2 and row["p"] < 1e-3 for row in rows)
    assert [row["from_start"] for row in rows] == pytest.approx([1, 1])


def test_without_scikit_learn_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr("kernbench.analysis.clusters.can_cluster", lambda: False)
    monkeypatch.setattr("kernbench.report.analyses.kernels_tables.can_cluster", lambda: False)
    found = measure(cell(network(9), network(9, seed=1)))
    assert found["kernel_groups"] == []
    assert all(row.get("group") is None for row in found["kernel_plane"])
    *_, groups = show(as_of(found, 0, 9))
    assert groups.rows == []
    assert 'pip install "kernbench[analysis]"' in groups.caption
    assert KERNELS_ANALYSIS.draw(as_of(found, 0, 9)) is not None


def test_every_column_is_declared_and_rows_stay_few():
    found = measure(cell(network(65), network(65, seed=1)))
    for table, columns in KERNELS_ANALYSIS.tables.items():
        assert set().union(*(row.keys() for row in found[table])) <= set(columns)
    assert len(found["kernels"]) < 2 * 2 * 12
    assert len(found["kernel_plane"]) <= 2 * (100 + len(families()))


def test_the_needed_cosines_of_the_docs_are_those_of_the_search():
    text = (Path(__file__).parents[3] / "docs" / "analyses.md").read_text(encoding="utf-8")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    (sizes,) = [line[1:] for line in lines if line[0] == "K"]
    (wanted,) = [line[1:] for line in lines if line[0] == "needed"]
    for size, value in list(zip(map(int, sizes), wanted, strict=True))[:-2]:  # the last two take seconds
        if size % 2:  # networks have odd kernels
            row, *_ = rows_of(measure(cell(network(size, channels=2))), atom=ANY)
            assert row["needed"] == pytest.approx(float(value), abs=6e-4)
