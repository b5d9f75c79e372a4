"""Numbers of pages come from the exported cells: what is put in, what is refused, and that the pages agree."""

import dataclasses
from pathlib import Path

import pytest
from result_places import place

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import comparisons
from kernbench.statistics.power import smallest_detectable
from kernbench.store.maintenance.exporting import export_tables

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def runs(make_run):
    quality = {"discrete": (0.65, 0.7), "siren": (0.8, 0.7)}  # above a blind guess, 0.605
    return [
        make_run(family, size, seed, quality=level)
        for family, levels in quality.items()
        for size, level in zip((65, 129), levels, strict=True)
        for seed in range(4)
    ]


@pytest.fixture(scope="module")
def found(runs):
    return {each.base: each for each in comparisons(runs)}


def test_numbers_are_those_of_the_report_and_the_text_around_stays(script, found):
    (comparison,) = found.values()
    interval = next(p for p in comparison.scored if p.runs[0].family == "siren" and p.x == 65).interval
    text = f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
    page = f"siren has {place('f1 siren 65', 'an old number')} at 65.\n"
    assert script.filled(page, found) == f"siren has {place('f1 siren 65', text)} at 65.\n"
    assert script.filled(script.filled(page, found), found) == script.filled(page, found)


def test_a_number_that_begins_a_line_is_refused_as_markdown_would_end_the_paragraph_there(script, found):
    number, table = place("f1 siren 65"), script.filled(place("scores 65"), found)
    for page in (f"It has\n{number}.", f"1. It has\n   {number}."):
        with pytest.raises(KernbenchError, match="siren 65 --> begins a line; put it after a word"):
            script.check_layout(page)
    script.check_layout(f"It has {number}\nand\n{table}\nAnd")


def test_a_claim_is_refused_where_the_data_say_another_verdict(script, found):
    (comparison,) = found.values()
    verdicts = {each.first.x: each.verdict for each in comparison.differences}
    assert verdicts[65] == "better"
    assert ", better<" in script.filled(place("claim better siren 65"), found)
    for wrong in ("worse", "undecided", "equivalent"):
        with pytest.raises(KernbenchError, match=rf"said to be {wrong}; the data say \+0\.\d+ .*, better"):
            script.filled(place(f"claim {wrong} siren 65"), found)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("f1 sirn 65", "no score of sirn"),
        ("f1 siren 66", "no score at kernel_size = 66"),
        ("f1 siren seed=0", "no score at kernel_size = seed=0"),
        ("f1 siren", r"is not one point: siren \(kernel_size = 65\); siren"),
        ("versus discrete 65", "discrete at kernel_size = 65 is compared with nothing"),
        ("f2 siren 65", "no 'f2'"),
        ("card sirn", "no score of sirn"),
        ("verdicts good 65", "expected one of better, worse, .*, got 'good'"),
        ("moved up kernel_size 65 129", "expected one of better, .*, got 'up'"),
        ("none better 65", "none was said to be better at 65; the data say `siren`"),
        ("scores 66", "no score at kernel_size = 66"),
        ("order 66", "no score at kernel_size = 66"),
        ("order 65 129", "two values of one axis"),
        ("gained 66", "no score at kernel_size = 66"),
        ("order", "order needs a value of kernel_size"),
        ("tau siren", "tau needs two families or more"),
        ("decided sirn", "no family 'sirn'; did you mean"),
        ("figure orders", "figure takes other words .*missing a required argument: 'text'"),
        ("figure pulses text", "nothing to draw for the figure pulses"),
        ("f1", "f1 takes other words"),
        ("cells 3", "cells takes other words"),
    ],
)
def test_what_is_not_there_is_refused(script, found, words, said):
    with pytest.raises(KernbenchError, match=said):
        script.filled(place(words), found)
    with pytest.raises(KernbenchError, match=r"no 'j_sweep.v1.quick'; did you mean"):
        script.filled("<!-- data: j_sweep.v1.quick cells --><!-- / -->", found)


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("scores", 2),
        ("differences", 2),
        ("order 65", 2),
        ("sizes", 2),
        ("gained 65", 1),
        ("changed kernel_size 65", 2),
        ("change_matrix kernel_size 65", 2),
        ("difference_matrix 65", 1),
        ("scores 65", 2),
        ("card siren", 2),
    ],
)
def test_tables_have_a_row_for_each_family_and_end_before_the_comment(script, found, kind, rows):
    made = script.filled(place(kind), found)
    lines = made.splitlines()
    assert sum(line.startswith("| ") for line in lines) == rows + 2
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert lines[-1] == "<!-- / -->"
    assert lines[-2] == ""


def test_decided_differences_are_counted_and_shown_alone(script, runs):
    kept = [run for run in runs if run.family != "siren" or run.params["kernel_size"] == 65 or run.params["seed"] == 0]
    found = {each.base: each for each in comparisons(kept)}  # siren has one seed at 129
    assert script.filled(place("decided"), found) == place("decided", "1 of 2")
    lines = [line for line in script.filled(place("differences decided"), found).splitlines() if "siren" in line]
    assert len(lines) == 1
    assert "| better |" in lines[0]
    with pytest.raises(KernbenchError, match='takes "decided" or nothing'):
        script.filled(place("differences better"), found)


def test_two_blind_networks_get_no_verdict(script, make_run):
    quality = {"discrete": 0.3, "siren": 0.45}
    runs = [make_run(family, 65, seed, quality=level) for family, level in quality.items() for seed in range(3)]
    found = {each.base: each for each in comparisons(runs)}
    (difference,) = found["k_sweep.v1.quick"].differences
    assert (difference.found.verdict, difference.verdict) == ("better", "undecided")
    assert script.filled(place("blind"), found) == place("blind", "1 of 1")
    assert script.filled(place("floor"), found) == place("floor", "0.605")
    assert "both blind" in script.filled(place("differences"), found)
    assert "below blind" in script.filled(place("f1 siren 65"), found)
    assert script.filled(place("decided"), found) == place("decided", "0 of 0")
    assert script.filled(place("seeing 65"), found) == place("seeing 65", "0 of 2")
    with pytest.raises(KernbenchError, match=r"was said to be better; the data say .* both blind"):
        script.filled(place("claim better siren 65"), found)


def test_orders_of_families_by_network_are_tables_and_sentences(script, make_run):
    quality = {"discrete": 0.8, "siren": 0.6}
    runs = [
        make_run(family, 65, seed, quality=level, params={"name": network, "seed": seed})
        for family, level in quality.items()
        for network in ("shallow", "strided")
        for seed in range(3)
    ]
    found = {each.base: each for each in comparisons(runs)}
    lines = script.filled(place("ranking"), found).splitlines()
    assert [line.split(" | ")[0] for line in lines if line.startswith("| ")][2:] == ["| discrete", "| siren"]
    assert "| discrete | 1 [1, 1] | 1 [1, 1] |" in lines
    said = script.filled(place("agreement"), found)
    assert "- +1.00 [" in said
    assert "between 2 networks" in said
    third = [dataclasses.replace(run, family="gabor") for run in runs if run.family == "siren"]
    three = {each.base: each for each in comparisons(runs + third)}
    assert place("tau gabor", "+1.00 [+1.00, +1.00]") == script.filled(place("tau gabor"), three)
    with pytest.raises(KernbenchError, match=r"no family 'gabr'; did you mean"):
        script.filled(place("tau gabr"), three)


def test_a_point_of_two_axes_is_named_by_both(script, make_run):
    quality = {("discrete", 65): 0.65, ("siren", 65): 0.75, ("discrete", 129): 0.8, ("siren", 129): 0.9}
    runs = [
        make_run(family, size, seed, quality=level, params={"kernel_size": size, "side": side, "seed": seed})
        for (family, size), level in quality.items()
        for side in ("centered", "causal", "both")
        for seed in range(3)
    ]
    found = {each.base: each for each in comparisons(runs)}
    assert found["k_sweep.v1.quick"].axis == "side"
    text = script.filled(place("claim better siren causal kernel_size=129"), found)
    assert "+0.09" in text or "+0.1" in text
    rows = [line for line in script.filled(place("order causal kernel_size=65"), found).splitlines() if "[" in line]
    assert [line.split(" | ")[0] for line in rows] == ["| siren", "| discrete"]
    with pytest.raises(KernbenchError, match=r"side = causal is not one point: siren \(kernel_size = 65, side"):
        script.filled(place("f1 siren causal"), found)
    assert "| siren, kernel_size = 129 | causal | " in script.filled(place("differences"), found)


def test_check_names_the_stale_page_and_writing_mends_it(script, runs, tmp_path, monkeypatch, capsys):
    export_tables(runs, tmp_path / "data")
    (tmp_path / "page.md").write_text(f"Of {place('cells', '1 cell')}")
    (tmp_path / "other.md").write_text("no number")
    monkeypatch.setattr(script, "studies", lambda study=script.studies: study(tmp_path / "data"))
    monkeypatch.setattr(script, "pages", lambda pages=script.pages: pages(tmp_path))
    assert script.main(["--check"]) == 1
    assert capsys.readouterr().out == "not as the data say: page.md\n"
    assert script.main([]) == 0
    assert (tmp_path / "page.md").read_text() == f"Of {place('cells', '16 cells of 2 families')}"
    assert script.main(["--check"]) == 0


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (
            "A <!-- data: k_sweep.v1.quick cells -->x. B <!-- data: k_sweep.v1.quick cells -->y<!-- / -->",
            "before the next",
        ),
        ("<!-- data: k_sweep.v1.quick cells -->x", "expected <!-- data: WORDS"),
        ("<!--data: k_sweep.v1.quick cells -->x<!-- / -->", "expected <!-- data: WORDS"),
        ("<!-- data:k_sweep.v1.quick cells-->x<!-- / -->", "expected <!-- data: WORDS"),
        ("<!-- data: k_sweep.v1.quick -->x<!-- / -->", "expected a study and a kind, one of f1, "),
    ],
)
def test_a_place_that_is_not_written_as_one_is_refused(script, found, page, said):
    with pytest.raises(KernbenchError, match=said):
        script.filled(page, found)


def test_changes_and_gains_are_refused_where_the_data_say_another_verdict(script, found):
    assert ", falls<" in script.filled(place("change worse kernel_size 65 siren 129"), found)
    assert ", gains less<" in script.filled(place("gain worse 65 siren 129"), found)
    for words in ("change better kernel_size 65 siren 129", "gain undecided 65 siren 129"):
        with pytest.raises(KernbenchError, match=r"siren \(kernel_size = 129\) was said to be .*; the data say -0"):
            script.filled(place(words), found)
    with pytest.raises(KernbenchError, match=r"siren \(kernel_size = 65\) is measured from nothing"):
        script.filled(place("gain worse 65 siren 65"), found)


def test_a_refused_place_is_a_line_and_exit_code_2_and_the_other_pages_are_written(
    script, runs, tmp_path, monkeypatch, capsys
):
    export_tables(runs, tmp_path / "data")
    (tmp_path / "bad.md").write_text(f"It is {place('claim worse siren 65')}")
    (tmp_path / "good.md").write_text(f"Made of {place('cells')}")
    monkeypatch.setattr(script, "studies", lambda study=script.studies: study(tmp_path / "data"))
    monkeypatch.setattr(script, "pages", lambda pages=script.pages: pages(tmp_path))
    assert script.main([]) == 2
    said = capsys.readouterr()
    assert said.out == "written: good.md\n"
    assert said.err.startswith(
        "bad.md: <!-- data: k_sweep.v1.quick claim worse siren 65 -->: k_sweep.v1.quick: siren at"
    )
    assert said.err.count("\n") == 1
    assert script.main(["--chek"]) == 2
    assert capsys.readouterr().err == "expected --check alone, or storages, got --chek\n"
    assert (tmp_path / "bad.md").read_text() == f"It is {place('claim worse siren 65')}"


def test_the_folder_is_made_from_storages_and_keeps_its_cells_only_if_it_is_one_of_them(
    script, runs, tmp_path, monkeypatch, capsys
):
    data, page = tmp_path / "data", tmp_path / "page.md"
    export_tables(runs[:8], data)
    export_tables(runs[8:], tmp_path / "new")
    page.write_text(f"Of {place('cells')}")
    monkeypatch.setattr(script, "gather", lambda storages, gather=script.gather: gather(storages, data))
    monkeypatch.setattr(script, "studies", lambda study=script.studies: study(data))
    monkeypatch.setattr(script, "pages", lambda pages=script.pages: pages(tmp_path))
    assert script.main([str(data), str(tmp_path / "new")]) == 0
    assert page.read_text() == f"Of {place('cells', '16 cells of 2 families')}"
    kept = {path.name: path.read_bytes() for path in data.iterdir()}
    for words in ([str(tmp_path / "nowhere")], ["--check", str(data)]):
        assert script.main(words) == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert {path.name: path.read_bytes() for path in data.iterdir()} == kept
    assert script.main([str(tmp_path / "new")]) == 0
    assert page.read_text() == f"Of {place('cells', '8 cells of 1 family')}"


def test_differences_that_would_be_found_are_those_of_the_corrected_level(script, found):
    (comparison,) = found.values()
    assert len(comparison.differences) == 2
    single = [each.found.smallest_detectable for each in comparison.differences]
    corrected = [smallest_detectable(each.found.error, each.found.df, 0.975) for each in comparison.differences]
    assert min(corrected) > min(single)
    text = f"{min(corrected):.2f} to {max(corrected):.2f}"
    assert script.filled(place("detectable"), found) == place("detectable", text)


def test_a_picture_is_drawn_again_when_it_shows_other_data(script, runs, found, tmp_path):
    page = script.filled(place('figure sweep "F1 by K"'), found)
    assert "\n![F1 by K](img/k_sweep.v1.quick_sweep.png)\n" in page
    drawn = {"found": found, "folder": tmp_path, "check": False}
    assert script.pictures(page, found, tmp_path, check=True) == ["k_sweep.v1.quick_sweep.png"]
    assert not any(tmp_path.iterdir())
    assert script.pictures(page, **drawn) == ["k_sweep.v1.quick_sweep.png"]
    assert script.pictures(page, **drawn) == script.pictures(page, found, tmp_path, check=True) == []
    changed = [dataclasses.replace(runs[0], scores={**runs[0].scores, "test": runs[1].scores["test"]}), *runs[1:]]
    other = {each.base: each for each in comparisons(changed)}
    assert script.pictures(page, other, tmp_path, check=True) == ["k_sweep.v1.quick_sweep.png"]
    fewer = {each.base: each for each in comparisons(runs[:-1])}
    assert script.pictures(page, fewer, tmp_path, check=True) == ["k_sweep.v1.quick_sweep.png"]
    with pytest.raises(KernbenchError, match=r"no figure 'sweeps'; did you mean"):
        script.filled(place('figure sweeps "F1 by K"'), found)


def test_the_pages_agree_with_the_data(script):
    pages = script.pages()
    if not script.DATA.exists():
        assert pages == []
        return
    assert pages, "there are data, and no page shows a number of them"
    assert script.main(["--check"]) == 0


def test_a_card_says_what_order_and_differences_say(script, found):
    lines = [line for line in script.filled(place("card siren"), found).splitlines() if line.startswith("| K = ")]
    for line, size in zip(lines, (65, 129), strict=True):
        cells = [each.strip() for each in line.strip("|").split("|")]
        (row,) = (
            each for each in script.filled(place(f"order {size}"), found).splitlines() if each.startswith("| siren")
        )
        assert cells[:2] == [f"K = {size}", row.split("|")[2].strip()]
        assert cells[2] == "4"
        assert cells[3] == script.filled(place(f"versus siren {size}"), found).split("-->")[1].removesuffix("<!-- / ")
        assert cells[4] == f"{row.split('|')[3].strip()} of 2"
        assert cells[5:] == ["4,321", "47 s"]
