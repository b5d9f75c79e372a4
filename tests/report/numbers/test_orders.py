"""The order of families in several networks, pulses and kernel sizes: ranks, correlations, words, tables, figure."""

import csv

import pytest

from kernbench.plotting.looks import series_look
from kernbench.report.analyses.by_layer import grouped, kept_apart
from kernbench.report.figures.orders import orders_figure
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.orders import family_orders, orders_text, rank_rows, tau_rows
from kernbench.report.numbers.setup import setup_rows
from kernbench.report.page.csv_tables import write_tables
from kernbench.report.result_cell import Cell
from kernbench.report.results import Results

QUALITY = {
    "discrete": {"shallow": 0.80, "strided": 0.80, "unet1d": 0.62},
    "siren": {"shallow": 0.70, "strided": 0.70, "unet1d": 0.70},
    "gaussian": {"shallow": 0.60, "strided": 0.60, "unet1d": 0.80},
}
SIZES = {"shallow": (113, 7), "strided": (65, 9), "unet1d": (45, 8)}


@pytest.fixture(scope="module")
def runs(make_run):
    """Three families in three networks, of which one reverses the order; three seeds."""
    return [
        make_run(
            family,
            seed=seed,
            quality=quality,
            params={"name": name, "seed": seed},
            base="networks.v1.quick",
            network=dict(zip(("kernel_size", "channels"), SIZES[name], strict=True))
            | {"name": name, "depth": 2, "field": 449, "field_asked": 449},
            definition={"network": {"gain": "unit", "field": 449}},
        )
        for family, of in QUALITY.items()
        for name, quality in of.items()
        for seed in range(3)
    ]


@pytest.fixture(scope="module")
def comparison(runs):
    return comparisons(runs)[0]


def test_ranks_and_correlations_are_those_of_the_networks(comparison):
    found = family_orders(comparison)
    ranks = {(row.family, row.place): row.rank for row in rank_rows(found)}
    assert [ranks[family, "shallow"] for family in QUALITY] == [1, 2, 3]
    assert [ranks[family, "unet1d"] for family in QUALITY] == [3, 2, 1]
    taus = {(row.first, row.second): row for row in tau_rows(found)}
    assert taus["shallow", "strided"].tau == 1
    assert taus["shallow", "unet1d"].tau == -1
    assert "discrete is better than gaussian in shallow, worse in unet1d" in taus["shallow", "unet1d"].verdict
    assert taus["shallow", "strided"].verdict == "more pairs keep their order than swap it"


def test_the_text_says_no_more_than_the_intervals(comparison, runs):
    said = " ".join(orders_text(family_orders(comparison)))
    assert "The order depends on the network: " in said
    assert "more against each other than alike" in said  # one pair of networks agrees, two are reversed
    two = [run for run in runs if run.params["name"] != "unet1d"]
    said = " ".join(orders_text(family_orders(comparisons(two)[0])))
    assert "no proof that the order is the same" in said
    assert "depends" not in said


def test_families_that_are_alike_are_called_neither_alike_in_order_nor_different(make_run):
    runs = [
        make_run(family, seed=seed, kernel_size=place + 3, params={"name": name, "seed": seed})
        for family in QUALITY
        for place, name in enumerate(SIZES)
        for seed in range(3)
    ]
    found = family_orders(comparisons(runs)[0])
    assert "Whether they order the families alike cannot be said from 3 seeds." in orders_text(found)[0]
    assert {row.verdict for row in tau_rows(found)} == {"whether the orders are alike cannot be said from 3 seeds"}


def test_a_family_that_lacks_a_network_is_named_and_one_seed_orders_nothing(runs):
    fewer = [run for run in runs if not (run.family == "siren" and run.params["name"] == "unet1d")]
    found = family_orders(comparisons(fewer)[0])
    assert found.families == ("discrete", "gaussian")
    assert "Not ranked: siren, without two seeds in some network." in orders_text(found)
    assert family_orders(comparisons([run for run in runs if run.params["seed"] == 0])[0]) is None


def test_one_seed_of_a_family_leaves_it_out_even_where_others_show_the_spread(runs):
    fewer = [run for run in runs if run.family != "siren" or run.params["seed"] == 0]
    found = family_orders(comparisons(fewer)[0])
    assert found.families == ("discrete", "gaussian")
    assert "Not ranked: siren, without two seeds in some network." in orders_text(found)


def test_the_order_by_kernel_size_is_that_of_the_means_at_each_size(make_run):
    quality = {("discrete", 65): 0.8, ("siren", 65): 0.6, ("discrete", 129): 0.6, ("siren", 129): 0.8}
    runs = [
        make_run(family, size, seed, quality=level) for (family, size), level in quality.items() for seed in range(3)
    ]
    (comparison,) = comparisons(runs)
    found = family_orders(comparison)
    assert found.places == ("K = 65", "K = 129")
    assert [row.rank for row in rank_rows(found)] == [1, 2, 2, 1]
    said = " ".join(orders_text(found))
    assert "The order depends on the kernel size: discrete is better than siren at K = 65, worse at K = 129." in said
    assert orders_figure(comparison).axes[1].get_xticklabels()[1].get_text() == "K = 129"


def test_more_places_than_a_table_holds_are_no_orders(make_run):
    runs = [make_run(family, 2 * n + 3, seed) for n in range(21) for family in ("discrete", "siren") for seed in (0, 1)]
    assert family_orders(comparisons(runs)[0]) is None
    assert len(family_orders(comparisons(runs[: 20 * 4])[0]).places) == 20


def test_a_stray_cell_and_one_without_a_score_cost_nothing_but_their_place(make_run):
    grid = [make_run(family, size, seed) for family in ("discrete", "siren") for size in (65, 129) for seed in range(3)]
    stray = [make_run("gaussian", 257, 0), make_run("discrete", 257, 0)]
    failed = [make_run("siren", 33, 0, status="oom"), make_run("longconv", params={"seed": 0}, status="oom")]
    found = family_orders(comparisons([*grid, *stray, *failed])[0])
    assert (found.families, found.places) == (("discrete", "siren"), ("K = 65", "K = 129"))
    assert found.left_out == (
        "Not ranked: K = 257, where fewer than two families have two seeds.",
        "Not ranked: gaussian, without two seeds in some kernel size.",
    )


def test_what_all_families_share_is_in_no_name_and_what_one_has_is(make_run):
    def of(family, **own):
        return [
            make_run(family, params={"kernel_size": 65, "side": side, "seed": seed} | own)
            for side in ("causal", "centered")
            for seed in (0, 1)
        ]

    runs = [*of("discrete"), *of("siren", omega_0=10.0), *of("siren", omega_0=30.0)]
    comparison = comparisons(runs)[0]
    found = family_orders(comparison)
    assert found.families == ("discrete", "siren, omega_0 = 10.0", "siren, omega_0 = 30.0")
    assert found.places == ("side = causal", "side = centered")
    colours = {each.get_label(): each for each in orders_figure(comparison).legends[0].get_lines()}
    assert colours["discrete"].get_color() == series_look(["discrete"])["discrete"][0]


def test_the_page_the_tables_and_the_setup_name_what_was_worked_out(comparison, runs, page_of, tmp_path):
    assert ("network strided", "K = 65, depth 2, 9 channels, sees 449 of 449 samples") in setup_rows(comparison)
    page = page_of(runs)
    assert "Order of the families by network" in page.html
    assert "Kendall" in page.html
    write_tables([comparison], tmp_path)
    with (tmp_path / "networks.csv").open() as file:
        rows = {(row["series"], row["network"]): row for row in csv.DictReader(file)}
    assert len(rows) == 9
    assert rows["siren", "shallow"]["kernel_size"] == "113"
    with (tmp_path / "ranks.csv").open() as file:
        ranks = {(row["family"], row["place"]): row["rank"] for row in csv.DictReader(file)}
    assert len(ranks) == 9
    assert (ranks["siren", "shallow"], ranks["discrete", "unet1d"]) == ("2.0", "3.0")
    assert len((tmp_path / "orders.csv").read_text().splitlines()) == 4


def test_a_data_frame_has_the_sizes_of_the_networks(runs):
    pytest.importorskip("pandas")
    frame = Results(tuple(map(Cell, runs))).frame()
    of_strided = frame[frame["name"] == "strided"]
    assert set(of_strided["kernel_size"]) == {65}
    assert set(of_strided["channels"]) == {9}
    assert Cell(runs[0]).network["kernel_size"] == 113


def test_the_figure_has_every_family_in_every_network_and_the_first_rank_on_top(comparison):
    figure = orders_figure(comparison)
    scores, ranks = figure.axes
    assert [label.get_text() for label in ranks.get_xticklabels()] == ["shallow", "strided", "unet1d"]
    assert ranks.get_ylim()[0] > ranks.get_ylim()[1]
    drawn = [line.get_ydata() for line in ranks.lines if len(line.get_ydata()) == 3 and line.get_marker() != "_"]
    assert sorted(map(tuple, drawn))[0][0] == 1
    assert len(scores.containers) == len(ranks.containers) == 3


def test_analyses_keep_layers_of_several_networks_apart():
    rows = {
        "table": [
            {"cell": f"name={name},seed={seed}", "family": "siren", "kernel_size": 65, "layer": 1}
            for name in ("shallow", "strided")
            for seed in range(2)
        ]
    }
    found = grouped(kept_apart(rows)["table"], "family", "kernel_size", "layer")
    assert [(key[0], len(each)) for key, each in found] == [("siren, shallow", 2), ("siren, strided", 2)]
    one = {"table": [row for row in rows["table"] if "shallow" in row["cell"]]}
    assert kept_apart(one) is one


def test_rows_of_several_pulses_are_kept_apart_too():
    cells = [f"kernel_size=65,pulse={pulse},seed=0" for pulse in ("REF", "SDC")]
    rows = {"limit": [{"cell": cell, "family": "siren"} for cell in cells]}
    assert [row["family"] for row in kept_apart(rows)["limit"]] == ["siren, REF", "siren, SDC"]
    assert kept_apart({"limit": rows["limit"][:1]})["limit"][0]["family"] == "siren"
