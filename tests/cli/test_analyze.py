"""`kernbench analyze fit`: a table within 80 columns, files, and input that cannot be used."""

import csv

import pytest

from kernbench.bench import kernel_fits

SMALL = ("--seeds", "2", "--steps", "5")


def test_fit_prints_a_table_and_writes_its_files(bench, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = bench.run("analyze", "fit", "--plugin", "discrete,siren", "--budgets", "64,16", *SMALL, "--out", "found")
    assert done.code == 0, done
    assert max(map(len, done.out.splitlines())) <= 80
    lines = [line.split() for line in done.out.splitlines()]
    assert ["family", "parameters", "echo", "wiener", "chirp", "step", "noise"] in lines
    assert ["discrete", "129", "0", "0", "0", "0", "0"] in lines
    assert [line[:2] for line in lines if line[0] == "siren"] == [["siren", "42"], ["siren", "57"]]
    assert "not how good it is" in done.out
    assert {path.name for path in (bench.folder / "found").iterdir()} == {"fit.csv", "fit.svg", "fit.png"}
    with (bench.folder / "found" / "fit.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 5 * 2
    assert {row["seed"] for row in rows} == {"0", "1"}


def test_fit_takes_a_file_and_some_targets_and_writes_nothing_unless_asked(bench):
    (bench.folder / "mine.py").write_text(
        "import kernbench, torch\n"
        "class Mine(kernbench.KernelModule):\n"
        "    def __init__(self, spec):\n"
        "        super().__init__(spec)\n"
        "        self.weight = torch.nn.Parameter(torch.randn(spec.shape))\n"
        "    def forward(self, grid):\n"
        "        return self.weight.to(grid.lags.dtype)\n"
        "@kernbench.hookimpl\n"
        "def kernbench_kernels():\n"
        "    return [kernbench.KernelFamily('mine', Mine)]\n"
    )
    before = bench.files()
    done = bench.run("analyze", "fit", "--plugin", "./mine.py:mine", "--targets", "step,echo", *SMALL)
    assert done.code == 0, done
    # of weight and amplitude, whose product is the kernel, the weight alone is solved for
    assert ["mine", "130", "0", "0"] in [line.split() for line in done.out.splitlines()]
    assert {path for path in bench.files() if "__pycache__" not in str(path)} == set(before)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--plugin sirne", "'sirne'; did you mean 'siren'?"),
        ("--targets ehco", "expected some of echo, wiener, chirp, step, noise, got 'ehco'; did you mean 'echo'?"),
        ("--budgets 16,few", "--budgets: expected whole numbers from 1 to 999999999, got 'few'"),
        ("--budgets 0", "--budgets: expected whole numbers from 1 to 999999999, got '0'"),
        ("--budgets ²", "--budgets: expected whole numbers from 1 to 999999999, got '²'"),
        (f"--budgets {'9' * 5000}", "--budgets: expected whole numbers from 1 to 999999999, got '999"),
        ("--seeds 0", "--seeds"),
        ("--steps -1", "--steps"),
        ("--out /proc/found", "folder /proc/found cannot be written"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_fitted(refused, monkeypatch, words, line):
    monkeypatch.setattr(kernel_fits, "fits", lambda *_: pytest.fail("fitted"))
    refused("analyze", "fit", *words.split(), said=[line])


def test_a_folder_that_fails_at_the_end_keeps_none_of_the_files(bench, monkeypatch):
    monkeypatch.setattr("kernbench.plotting.style.save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    done = bench.run("analyze", "fit", "--plugin", "discrete", "--seeds", "1", "--out", "found")
    assert (done.code, done.err.count("Traceback")) == (2, 0)
    assert "folder found cannot be written: No space left; let --out be another" in done.err
    assert not list((bench.folder / "found").iterdir())
