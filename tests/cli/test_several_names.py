"""Several studies and families in one command: by repetition, in a list, each once; refused together or run on."""

import pytest

from kernbench.store.reading.runs import load_runs

PLUGIN = """
import torch, kernbench

class Mine(kernbench.KernelModule):
    def __init__(self, spec):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(spec.shape))
    def forward(self, grid):
        return self.weight

@kernbench.hookimpl
def kernbench_kernels():
    return [kernbench.KernelFamily("mine", Mine)]
"""
RUN = ("run", "--profile", "quick", "--no-baselines")
SMOKE = (*RUN, "--study", "smoke")


def studies(bench):
    return sorted({run.study for run in load_runs(bench.url)})


def of_families(*names):
    return [f"smoke.v1.quick/{name}" for name in names]


@pytest.mark.parametrize(
    "words",
    [
        ("--plugin", "siren,gaussian,./mine.py"),
        ("--plugin", "./mine.py:mine,siren, gaussian"),
        ("--plugin", "siren", "--plugin", "gaussian", "--plugin", "./mine.py:mine"),
        ("--plugin", "siren, gaussian", "--plugin", "./mine.py", "--plugin", "siren", "--plugin", "./mine.py:mine"),
    ],
    ids=["list", "list after a file", "repeated", "both, with duplicates"],
)
def test_every_family_that_is_named_runs_once_and_one_report_shows_all(bench, quick_cells, words):
    (bench.folder / "mine.py").write_text(PLUGIN)
    ended = bench.run(*SMOKE, *words)
    assert (ended.code, ended.err.count("\n"), ended.err.count("'mine' has not passed its checks")) == (0, 1, 1), ended
    assert studies(bench) == of_families("gaussian", "mine", "siren")
    assert len(quick_cells) == len(set(quick_cells)) == 6
    for name in of_families("siren", "gaussian", "mine"):
        assert ended.out.count(f"{name}: all complete (2 done)") == 1, ended
    assert ended.out.count("report: ") == 1, ended
    page = (bench.folder / "kernbench-report" / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("gaussian", "mine", "siren"))


def test_every_study_runs_for_every_family(bench, quick_cells):
    ended = bench.run(*RUN, "--study", "smoke,omega_sweep", "--plugin", "siren", "--dry-run")
    assert ended.code == 0, ended
    assert [line.partition(":")[0] for line in ended.out.splitlines() if "would run" in line] == [
        "smoke.v1.quick/siren",
        "omega_sweep.v1.quick/siren",
    ]
    assert (quick_cells, bench.files()) == ([], [])


def test_a_file_whose_name_holds_a_comma_is_one_name(bench, quick_cells):
    (bench.folder / "mine,too.py").write_text(PLUGIN)
    ended = bench.run(*SMOKE, "--plugin", "discrete", "--plugin", "./mine,too.py:mine")
    assert ended.code == 0, ended
    assert studies(bench) == of_families("discrete", "mine")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--plugin", "siren,sirne"), "no kernel family 'sirne'; did you mean 'siren'?"),
        (("--plugin", "siren", "--plugin", "./mine.py"), "SyntaxError"),
        (("--plugin", "siren,"), "--plugin: expected names between the commas, got 'siren,'"),
        (("--plugin", "siren", "--study", "smok"), "no study 'smok'; did you mean 'smoke'?"),
        (("--plugin", "siren,discrete", "--study", "omega_sweep"), "unknown key axes.omega_0 for family 'discrete'"),
    ],
)
def test_one_that_is_refused_is_refused_before_anything_runs(bench, quick_cells, refused, words, said):
    (bench.folder / "mine.py").write_text("def")
    refused(*SMOKE, *words, said=[said])
    refused(*SMOKE, *words, "--dry-run", said=[said])
    assert quick_cells == []


def test_two_families_of_one_name_are_refused(bench, quick_cells, refused):
    for name in ("a.py", "b.py"):
        (bench.folder / name).write_text(f"{PLUGIN}# {name}")
    refused(*SMOKE, "--plugin", "./a.py,./b.py", said=["./a.py", "./b.py", "both be stored as smoke.v1.quick/mine"])
    assert quick_cells == []


def test_a_study_that_fails_does_not_stop_the_others_and_the_code_is_the_worst(bench, quick_cells):
    bench.broken = {"siren"}
    ended = bench.run(*SMOKE, "--plugin", "siren,discrete")
    assert ended.code == 1, ended
    assert "smoke.v1.quick/siren: 2 failed" in ended.out, ended
    assert "smoke.v1.quick/discrete: all complete (2 done)" in ended.out, ended
    assert {(run.family, run.status) for run in load_runs(bench.url)} == {("siren", "error"), ("discrete", "ok")}


def test_a_run_that_ends_with_an_error_is_one_line_and_the_next_one_goes_on(bench, quick_cells, monkeypatch):
    from kernbench.engine.fleet import runner
    from kernbench.errors import StorageLostError, WorkersError

    usual, errors = runner.run, {"siren": WorkersError("workers keep ending"), "gaussian": StorageLostError("lost")}

    def run(study, *rest, **others):
        if study.family.name in errors:
            raise errors[study.family.name]
        return usual(study, *rest, **others)

    monkeypatch.setattr(runner, "run", run)
    ended = bench.run(*SMOKE, "--plugin", "siren,gaussian,discrete")
    assert (ended.code, ended.err) == (3, "kernbench: workers keep ending\nkernbench: lost\n"), ended
    assert "smoke.v1.quick/discrete: all complete (2 done)" in ended.out, ended
    assert "report: " in ended.out, ended


def test_a_signal_ends_the_run_and_names_what_was_not_begun(bench, quick_cells, monkeypatch):
    import os
    import signal

    from kernbench.ulm.cells.task import UlmTask

    usual = UlmTask.run

    def stopped(task, context):
        os.kill(os.getpid(), signal.SIGINT)
        return usual(task, context)

    monkeypatch.setattr(UlmTask, "run", stopped)
    ended = bench.run(*SMOKE, "--plugin", "siren,gaussian,discrete")
    assert ended.code == 130, ended
    assert "not begun: smoke.v1.quick/gaussian, smoke.v1.quick/discrete" in ended.out, ended
    assert "report: " not in ended.out, ended
    assert len(quick_cells) == 1


def test_status_and_report_take_several_studies_and_families(bench, quick_cells, refused):
    assert bench.run(*SMOKE, "--plugin", "siren,gaussian,discrete").code == 0

    def shown(*words):
        ended = bench.run("status", *words)
        assert ended.code == 0, ended
        return [line.partition(":")[0] for line in ended.out.splitlines() if "2 cells" in line]

    assert shown() == of_families("discrete", "gaussian", "siren")
    assert shown("--plugin", "siren,discrete") == of_families("discrete", "siren")
    begun = bench.run("status", "--plugin", "siren,log")  # as during a run of both
    assert (begun.code, begun.err) == (0, ""), begun
    assert begun.out.endswith("log: no study yet\n"), begun
    assert shown("--study", "smoke.v1.quick/gaussian,smoke.v1.quick/siren") == of_families("gaussian", "siren")
    refused("status", "--plugin", "sirne", said=["no study of kernel family 'sirne'", "did you mean 'siren'?"])
    refused("report", "--plugin", "log", said=["no study of kernel family 'log'", "stored: discrete, gaussian, siren"])
    ended = bench.run("report", "smoke.v1.quick/siren,smoke.v1.quick/discrete", "--format", "csv")
    assert "siren" in ended.out
    assert "gaussian" not in ended.out, ended
    assert bench.run("report", "--plugin", "siren", "--plugin", "discrete", "--format", "csv").out == ended.out


@pytest.mark.parametrize(
    "words",
    [
        ("worker", "--study", "a,b"),
        ("worker", "--study", "a", "--study", "b"),
        ("worker", "--study", "smoke", "--plugin", "a,b"),
        ("slurm", "--study", "a,b", "--array", "2"),
        ("slurm", "--study", "smoke", "--array", "2", "--plugin", "a", "--plugin", "b"),
        ("baselines", "--study", "a", "--study", "b"),
        ("baselines", "--plugin", "a,b"),
        ("data", "simulate", "--study", "a,b"),
        ("evaluate", "--plugin", "a", "--plugin", "b"),
    ],
    ids=" ".join,
)
def test_a_command_of_one_study_says_so_and_does_not_take_the_last(refused, words):
    refused(*words, said=["expected one name, got a, b; give the command once for each"])
