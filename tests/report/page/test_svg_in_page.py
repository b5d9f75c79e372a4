"""Figures within the page: smaller, and drawn the same; their points lead somewhere."""

import dataclasses
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from kernbench.plotting.style import as_svg
from kernbench.report.figures.costs import cost_figure
from kernbench.report.figures.sweeps import sweep_figure
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.page.captions import caption
from kernbench.report.page.downloads import MOST_BYTES, TOGETHER_BYTES, downloads
from kernbench.report.page.live_svg import Mark, live_svg
from kernbench.report.page.places import marks_of
from kernbench.report.page.short_svg import shortened, with_classes

NUMBER = re.compile(r"-?\d+\.?\d*")
HOSTILE = 'a"b<c>&d, e=f%20'


def elements(content):
    return list(ElementTree.fromstring(content).iter())


@pytest.mark.parametrize("draw", [sweep_figure, cost_figure])
def test_a_shortened_figure_draws_the_same(make_run, draw):
    runs = [make_run(values={"n_params": size}, kernel_size=size) for size in (9, 33)]
    whole = as_svg(draw(comparisons(runs)[0]))
    short = with_classes(shortened(whole))
    assert len(short) < 0.8 * len(whole)
    rules = dict(re.findall(r"\.(s\d+)\{([^}]*)\}", short.decode()))
    before, after = elements(whole), elements(short)
    assert [each.tag for each in before] == [each.tag for each in after]
    for one, other in zip(before, after, strict=True):
        assert other.get("style", rules.get(other.get("class"))) == one.get("style")
        for name in ("d", "x", "y"):
            places = [list(map(float, NUMBER.findall(each.get(name, "")))) for each in (one, other)]
            assert places[1] == pytest.approx(places[0], abs=0.1)
        assert other.get("transform") == one.get("transform")
    known = {each.get("id") for each in after}
    assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', short.decode())) <= known


def test_points_are_links_and_ids_of_two_figures_do_not_meet(make_run):
    runs = [make_run(HOSTILE, size) for size in (9, 33)] + [make_run("siren", 9, status="diverged")]
    (comparison,) = comparisons(runs)
    content = as_svg(sweep_figure(comparison))
    made = {anchor: live_svg(content, anchor, marks_of(comparison, anchor), "a <label>") for anchor in ("c1", "c2")}
    ids = {anchor: {each.get("id") for each in elements(svg)} - {None} for anchor, svg in made.items()}
    assert not ids["c1"] & ids["c2"]
    assert set(re.findall(r'(?:href="#|url\(#)(c1-(?!row)[^")]*)', made["c1"])) <= ids["c1"]
    links = [each for each in elements(made["c1"]) if each.get("class") == "mark"]
    rows = {link.get("data-text").partition(": ")[0]: link.get("href") for link in links}
    assert rows == {point.name: f"#c1-row-{place}" for place, point in enumerate(comparison.points, 1)}
    assert {link.get("data-series") for link in links} == {HOSTILE, "siren"}
    assert "siren (kernel_size = 9): diverged" in {link.get("data-text") for link in links}
    named = {each.get("data-series") for each in elements(made["c1"])} - {None}
    assert named == {HOSTILE, "siren"}


def test_a_point_without_a_mark_stays_a_drawing(make_run):
    (comparison,) = comparisons([make_run(), make_run(kernel_size=9)])
    svg = live_svg(as_svg(sweep_figure(comparison)), "c1", {"siren (kernel_size = 9)": Mark("r", "t", "s")}, "")
    assert svg.count("<a ") == 1


def test_captions_speak_of_what_is_drawn(make_run):
    def words(runs, name, **options):
        return caption(name, comparisons(runs)[0], **options)

    one, many = [make_run(lines=40)], [make_run(seed=seed, lines=12) for seed in range(2)]
    unknown = [dataclasses.replace(one[0], lines=None)]
    assert "single seeds" not in words(one, "sweep")
    assert "single seeds" in words(many, "sweep")
    assert "blind floors" in words(one, "sweep")
    assert "blind floors" not in words(unknown, "sweep")
    assert "Crosses" in words([*one, make_run("gaussian", status="diverged")], "sweep")
    assert "Crosses" not in words(one, "sweep")
    assert "detectors" in words(one, "sweep", references=True)
    assert words(many, "lines").startswith("Each dot is")
    assert words(one, "lines").startswith("Violins: F1 of the test lines")
    for name in ("tolerance", "curves", "density", "noise"):
        assert "ublished:" not in words(one, name)
        assert "if any" not in words(one, name)


def test_large_tables_stay_beside_the_page(tmp_path):
    sizes = [10, MOST_BYTES + 1, *[MOST_BYTES] * (TOGETHER_BYTES // MOST_BYTES + 1)]
    tables = [tmp_path / f"{place}.csv" for place in range(len(sizes))]
    for table, size in zip(tables, sizes, strict=True):
        table.write_bytes(np.zeros(size, np.uint8).tobytes())
    found = downloads(tables)
    assert [bool(each.data) for each in found[:3]] == [True, False, True]
    assert not found[-1].data
    assert sum(size for size, each in zip(sizes, found, strict=True) if each.data) <= TOGETHER_BYTES
