"""Verdicts of docs/results.md, worked out again from the CSV files alone: nothing of kernbench is used to do so."""

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import digamma, polygamma
from scipy.stats import t as student
from statsmodels.stats.multitest import multipletests

from kernbench.report.numbers.comparison import comparisons
from kernbench.store.database.url import resolve_source
from kernbench.store.reading.several import load_several
from kernbench.ulm.scoring.seed_spread import measured_spread

DATA = Path(__file__).parents[2] / "docs" / "data" / "results"
STUDY = "k_sweep.v1.quick"
MARGIN = 0.01  # a difference that does not matter


def rows(name):
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def line_f1(row):
    """F1 of every line; nothing found counts precision and recall of 0.001."""
    tp, fp, fn = (np.array(row[name].split(), float) for name in ("tp", "fp", "fn"))
    precision, recall = tp / np.maximum(tp + fp, 1), tp / np.maximum(tp + fn, 1)
    precision, recall = np.where(tp, precision, 0.001), np.where(tp, recall, 0.001)
    return 2 * precision * recall / (precision + recall)


@pytest.fixture(scope="module")
def cells():
    """(family, K) -> F1 of its seeds and lines."""
    params = {
        (row["study"], row["cell"]): json.loads(row["params"]) for row in rows("cells.csv") if row["status"] == "ok"
    }
    found = defaultdict(list)
    for row in rows("scores.csv"):
        study, cell = row["study"], row["cell"]
        if study.startswith(f"{STUDY}/") and row["split"] == "test" and row["tolerance"] == "4":
            found[study.removeprefix(f"{STUDY}/"), params[study, cell]["kernel_size"]].append(line_f1(row))
    return {key: np.array(seeds) for key, seeds in found.items()}


@pytest.fixture(scope="module")
def floor():
    """The better blind guess at 4 samples."""
    digests = {row["data_digest"] for row in rows("cells.csv") if row["study"].startswith(f"{STUDY}/")}
    found = [row for row in rows("floors.csv") if row["data_digest"] in digests and row["tolerance"] == "4"]
    return max(float(row[name]) for row in found for name in ("comb", "random"))


def prior_of(tables):
    """Smyth (2004): moments of the logarithm of the variances between seeds; at most half of all degrees of freedom."""
    variances = np.array([table.mean(axis=1).var(ddof=1) for table in tables])
    df = np.array([len(table) - 1 for table in tables])
    logs = np.log(variances) - digamma(df / 2) + np.log(df / 2)
    excess = logs.var(ddof=1) - polygamma(1, df / 2).mean()
    assert excess > 0  # else the variances are alike, and the prior is their mean
    df0 = 2 * brentq(lambda x: polygamma(1, x) - excess, 1e-6, 1e6)
    return np.exp(logs.mean() + digamma(df0 / 2) - np.log(df0 / 2)), min(df0, df.sum() / 2)


def difference(first, second, prior):
    """Difference of means, its standard error and degrees of freedom; crossed seeds and lines (docs/statistics.md)."""
    v0, d0 = prior
    between = leftover = 0.0
    parts, shared = [], 0.0
    for table in (first, second):
        seeds, df = len(table), len(table) - 1
        own = table.mean(axis=1).var(ddof=1)
        left = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
        between += (d0 * v0 + df * own) / (d0 + df) / seeds
        leftover += (left**2).sum() / (df * (table.shape[1] - 1)) / seeds
        parts.append((df / (d0 + df) / seeds, own, df))
        shared += d0 / (d0 + df) / seeds
    equal = len(first) == len(second)
    pieces = [(factor * (1 if equal else own), df) for factor, own, df in parts] + [(shared * (1 if equal else v0), d0)]
    df_seeds = sum(v for v, _ in pieces) ** 2 / sum(v**2 / df for v, df in pieces)
    gap = first.mean(axis=0) - second.mean(axis=0)
    lines = len(gap)
    over_lines = max(gap.var(ddof=1) - leftover, 0) / lines
    error = np.sqrt(between + over_lines)
    half = np.sqrt(
        between * student.ppf(0.975, df_seeds) ** 2 + over_lines * student.ppf(0.975, lines - 1) ** 2
    )  # Howe
    low, high = sorted((df_seeds, lines - 1))
    df = brentq(lambda x: student.ppf(0.975, x) * error - half, low, high) if over_lines else df_seeds
    return gap.mean(), error, df


@pytest.fixture(scope="module")
def recomputed(cells, floor):
    """(family, K) -> difference from free taps, its ends and the verdict over all of them."""
    prior = prior_of([table for table in cells.values() if len(table) > 1 and table.mean() >= floor])
    pairs = [key for key in cells if key[0] != "discrete" and ("discrete", key[1]) in cells]
    found = [difference(cells[key], cells["discrete", key[1]], prior) for key in pairs]
    value, error, df = map(np.array, zip(*found, strict=True))
    different = multipletests(2 * student.sf(abs(value) / error, df), method="holm")[1]
    tails = np.maximum(student.cdf((value - MARGIN) / error, df), student.sf((value + MARGIN) / error, df))
    alike = multipletests(tails, method="holm")[1]
    said = np.where(value > 0, "better", "worse")
    verdicts = np.where(alike < 0.05, "equivalent", np.where(different < 0.05, said, "undecided"))
    half = student.ppf(0.975, df) * error
    return dict(zip(pairs, zip(value, value - half, value + half, verdicts, strict=True), strict=True))


def test_every_difference_and_verdict_of_the_study_is_that_of_the_csv_files(recomputed):
    runs = load_several([resolve_source(str(DATA))])
    (comparison,) = (each for each in comparisons(runs) if each.base == STUDY)
    shown = {(each.first.runs[0].family, each.first.x): each for each in comparison.differences}
    assert shown.keys() == recomputed.keys()
    for key, each in shown.items():
        *numbers, verdict = recomputed[key]
        np.testing.assert_allclose(
            [each.found.difference, each.found.low, each.found.high], numbers, atol=1e-9, err_msg=str(key)
        )
        assert each.found.verdict == verdict, key


@pytest.fixture(scope="module")
def several(cells, floor):
    """(family, K) -> F1 of at least two seeds that are no worse than a blind guess."""
    return {key: table for key, table in cells.items() if len(table) > 1 and table.mean() >= floor}


def test_the_spread_that_single_seeds_borrow_is_that_of_the_study(several):
    documented = measured_spread("quick", {}).prior
    variance, df = prior_of(list(several.values()))
    assert documented.variance == pytest.approx(variance, rel=0.15)
    assert documented.df == pytest.approx(df, rel=0.3)


@pytest.mark.parametrize(("sizes", "least"), [((33, 65, 129, 257), 0.95), ((257,), 0.88)])
def test_a_single_seed_lies_where_the_spread_that_it_borrows_says(several, sizes, least):
    variance, df = measured_spread("quick", {}).prior
    inside = []
    for (_, size), table in several.items():
        means = table.mean(axis=1) if size in sizes else []
        for seed, mean in enumerate(means):
            others = np.delete(means, seed)
            inside.append(
                abs(mean - others.mean()) < student.ppf(0.975, df) * np.sqrt(variance * (1 + 1 / len(others)))
            )
    assert np.mean(inside) > least
