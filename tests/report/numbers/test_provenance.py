"""Where cells ran is said in one line where it is the same for all, in a table and a warning where it is not."""

import dataclasses

from kernbench.report.numbers.provenance import NONE, provenance

HERE = {"cpu": "A", "threads": 1, "python": "3.11.9", "git": "abc", "packages": {"torch": "2.13.0", "scipy": "1.17"}}


def test_one_environment_is_one_line(make_run, page_of):
    runs = [make_run(family, seed=seed, environment=HERE) for family in ("siren", "discrete") for seed in (0, 1)]
    found = provenance(runs)
    assert (found.cells, found.differing, found.warnings, found.unknown) == ([4], {}, [], 0)
    assert found.summary == (
        "4 cells ran in one environment: A, device cpu, threads 1, torch 2.13.0, kernbench 0.1.0, Python 3.11.9, "
        "git abc. Plugins: discrete: kernbench 0.1.0; siren: kernbench 0.1.0."
    )
    text = page_of(runs).text
    assert found.summary in text
    assert "Environments" not in text
    assert "Mixed" not in text


def test_every_grave_difference_is_counted_in_cells(make_run):
    base = make_run(environment=HERE)
    for change, warning in (
        ({"environment": HERE | {"cpu": "B"}}, "processors: A (2 cells), B (1 cell)"),
        ({"environment": HERE | {"git": "abc+"}}, "git states: abc (2 cells), abc+ (1 cell)"),
        ({"environment": HERE | {"git": None}}, "git states: abc (2 cells), none (1 cell)"),
        (
            {"environment": HERE | {"packages": {"torch": "2.14.0", "scipy": "1.17"}}},
            "torch versions: 2.13.0 (2 cells), 2.14.0 (1 cell)",
        ),
        ({"device": "cuda:0"}, "devices: cpu (2 cells), cuda:0 (1 cell)"),
        ({"kernbench_version": "0.2.0"}, "kernbench versions: 0.1.0 (2 cells), 0.2.0 (1 cell)"),
        (
            {"plugin": "mine 2"},
            "versions of the plugin of siren: kernbench 0.1.0 (2 cells), mine 2 (1 cell)",
        ),
        (
            {"plugin_source": "0123"},
            "versions of the plugin of siren: kernbench 0.1.0 (2 cells), kernbench 0.1.0, source 0123 (1 cell)",
        ),
    ):
        assert provenance([base, dataclasses.replace(base, **change), base]).warnings == [warning]


def test_other_differences_are_in_the_table_and_raise_no_warning(make_run):
    other = HERE | {"threads": 2, "packages": {"torch": "2.13.0"}}
    found = provenance([make_run(environment=HERE), make_run(environment=HERE), make_run(environment=other)])
    assert found.differing == {"packages.scipy": ["1.17", NONE], "threads": ["1", "2"]}
    assert (found.cells, found.warnings) == ([2, 1], [])
    assert "ran in 2 environments, which share: A, device cpu, torch 2.13.0" in found.summary


def test_versions_of_one_plugin_make_no_environments_of_their_own(make_run):
    runs = [make_run(family, environment=HERE) for family in ("siren", "discrete")]
    found = provenance([*runs, make_run(seed=1, environment=HERE, plugin="mine 2")])
    assert (found.cells, found.differing) == ([3], {})
    assert "siren: kernbench 0.1.0 (1 cell), mine 2 (1 cell)." in found.summary
    assert len(found.warnings) == 1


def test_cells_that_left_no_environment_are_counted(make_run):
    killed = make_run(status="killed", environment={}, plugin="", kernbench_version="")
    assert "1 more stored no environment." in provenance([make_run(environment=HERE), killed]).summary
    assert provenance([killed]).summary == "No cell stored its environment."


def test_the_page_warns_before_anything_else_and_shows_a_small_table(make_run, page_of):
    runs = [make_run(seed=seed, environment=HERE) for seed in (0, 1)]
    runs.append(make_run(seed=2, environment=HERE | {"cpu": "<b>B"}))
    page = page_of(runs)
    before_findings = page.text[: page.text.index("is the mean F1 of siren")]
    assert "k_sweep.v1.quick : processors: A (2 cells), <b>B (1 cell)." in before_findings
    assert ["entry", "2 cells", "1 cell"] in page.rows
    assert ["cpu", "A", "<b>B"] in page.rows
    assert not [row for row in page.rows if row[:1] == ["python"]]
    assert "#c1-environments" in page.links
    rows = page.table("environments")
    assert [(row["cpu"], row["cells"]) for row in rows] == [("A", "2"), ("<b>B", "1")]
    assert {row["packages.torch"] for row in rows} == {"2.13.0"}
