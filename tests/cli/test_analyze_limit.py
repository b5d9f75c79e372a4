"""`kernbench analyze limit`: on trained cells, and what it says of clean lines; test_analyze_cells.py has the page."""

import csv

import pytest

from kernbench.report.analyses import limit


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_trained_cells_are_compared_with_the_bound_and_the_page_shows_it(trained_bench):
    done = trained_bench.run("analyze", "limit", "--study", "mine", "--plugin", "siren", "--out", "found")
    assert done.code == 0, done
    assert "where noise is 0 the bound is for 1 %" in " ".join(done.out.split())
    rows = read(trained_bench.folder / "found" / "limit.csv")
    assert {(row["family"], row["noise_percent"], row["assumed_percent"]) for row in rows} == {("siren", "0", "1")}
    for row in rows:
        shares = [float(row[f"share_{name}"]) for name in limit.STRATA]
        assert sum(shares) == pytest.approx(1)
        assert int(row["pairs"]) <= int(row["isolated"]) <= int(row["bubbles"])
        assert float(row["median_bound"]) > 0
    assert (trained_bench.folder / "found" / "limit.svg").read_bytes().startswith(b"<?xml")


def test_lines_at_another_rate_are_left_out(trained_bench, monkeypatch):
    monkeypatch.setattr("kernbench.ulm.evaluation.trained.Trained.factor", lambda _self, _split: 2.0)
    done = trained_bench.run("analyze", "limit", "--study", "mine", "--plugin", "siren")
    assert done.code == 2
    assert done.err.count("the bound is for lines at 62.5 MHz") == 2


def test_shown_and_drawn_of_several_levels_of_noise():
    rows = [
        {"family": family, "kernel_size": size, "noise_percent": noise, "assumed_percent": noise or 1, "tolerance": 4}
        | {"rmse": 0.4, "bias": 0.1, "bound": 0.1, "multiple": 4.0, "pairs": 10, "isolated": 12, "median_bound": 0.9}
        | {f"recall_{name}": value for name, value in zip(limit.STRATA, (0.9, 0.6, 0.2), strict=True)}
        | {f"share_{name}": value for name, value in zip(limit.STRATA, (0.5, 0.2, 0.3), strict=True)}
        for family in ("discrete", "siren")
        for size in (9, 17)
        for noise in (2, 8)
    ]
    errors, recall = limit.show({"limit": rows})
    assert "have no bound" not in errors.caption
    assert errors.rows[0] == ["discrete", "9", "2 %", "0.4", "0.1", "0.1", "4", "10", "12"]
    assert recall.rows[-1] == ["siren", "17", "8 %", "90.0 %", "60.0 %", "20.0 %", "0.9", "30.0 %"]
    figure = limit.draw({"limit": rows})
    assert [len(axes.lines) for axes in figure.axes[:2]] == [2, 2]
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([0.9, 0.6, 0.2])
