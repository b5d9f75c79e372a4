"""`kernbench analyze kernels` end to end: trained cells, files, the page; three taps beside 17."""

import csv
import shutil
import sys
import warnings

import fakes
import pytest

from kernbench.analysis.clusters import can_cluster

STAGES = ("start", "trained")
STUDY = "version = 1\n[axes]\nkernel_size = [3, 17]\n"


@pytest.fixture(scope="module")
def study(tmp_path_factory, smoke_lines):
    """A folder with the database of two families at K = 3 and 17, trained for a moment."""
    from kernbench.cli import main

    folder = tmp_path_factory.mktemp("named")
    (folder / "named.toml").write_text(STUDY)
    words = ("run", "--study", "named.toml", "--profile", "smoke", "--no-baselines", "--plugin", "siren,discrete")
    with pytest.MonkeyPatch.context() as patch, fakes.no_pictures():
        patch.setenv("KERNBENCH_CACHE", str(smoke_lines))
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["kernbench", *words])
        patch.setattr(warnings, "showwarning", warnings.showwarning)  # main replaces it
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    return folder


@pytest.fixture
def kept(smoke_bench, study):
    """The command line in a copy of that folder."""
    shutil.copytree(study, smoke_bench.folder, dirs_exist_ok=True)
    return smoke_bench


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_cells_are_named_beside_chance_and_start_and_the_page_shows_it(kept, no_pictures):
    done = kept.run("analyze", "kernels", "--study", "named", "--out", "found")
    assert done.code == 0, done
    assert done.err.splitlines() == ["  analyze kernels"]
    lines = [line.split() for line in done.out.splitlines()]
    short = [line for line in lines if line[:2] in (["siren", "3"], ["discrete", "3"])]
    assert any("nothing can be concluded" in " ".join(line) for line in short)
    folder = kept.folder / "found"
    rows = read(folder / "kernels.csv")
    assert {(row["kernel_size"], row["stage"]) for row in rows} == {(k, s) for k in ("3", "17") for s in STAGES}
    assert {row["named"] for row in rows if row["kernel_size"] == "3"} == {""}
    long = [row for row in rows if row["kernel_size"] == "17" and row["atom"] == "any"]
    assert all(0 <= float(row["named"]) <= 1 and 0 < float(row["chance_median"]) < 0.75 for row in long)
    assert (folder / "kernels.svg").read_bytes().startswith(b"<?xml")
    assert len(read(folder / "kernel_plane.csv")) > 0
    assert bool(read(folder / "kernel_groups.csv")) == can_cluster()
    assert kept.run("report").code == 0
    page = (kept.folder / "kernbench-report" / "report.html").read_text(encoding="utf-8")
    assert "What the kernels are" in page
    assert "nothing can be concluded" in page
    assert "4 cells of 4 analysed" in page


def test_one_cell_alone_and_one_that_is_not_there(kept):
    done = kept.run("analyze", "kernels", "--study", "named.v1.smoke/siren", "--cell", "kernel_size=17,seed=0")
    assert done.code == 0, done
    assert "1 cell." in done.out
    refused = kept.run("analyze", "kernels", "--study", "named", "--cell", "kernel_size=5,seed=0")
    assert (refused.code, refused.err.count("\n")) == (2, 1), refused
