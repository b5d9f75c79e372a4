"""benchmarks/accelerator.py: every part gives its table on a CPU, and what fails costs its own part alone."""

import csv
import importlib
import sys
import time
from pathlib import Path

import pytest
from forked import Forked, call_main_without_figures
from worlds import wait_until

from kernbench.bench import convolution, timing
from kernbench.bench.table import BenchTable

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "accelerator.py"
TABLES = {
    "gpu-tests": ["accelerator_tests"],
    "fit": ["conv_fit", "accelerator_fit"],
    "conv-22": ["accelerator_conv_22", "accelerator_conv_memory_22"],
    "conv-64": ["accelerator_conv_64"],
    "train": ["accelerator_train"],
    "workers": ["accelerator_workers"],
    "simulate": ["accelerator_simulate"],
    "compile": ["accelerator_compile"],
}


@pytest.fixture(scope="module")
def scripts():
    """The modules of the script by name, imported as it imports them."""
    sys.path.insert(0, str(SCRIPT.parent))
    names = [path.stem for path in SCRIPT.parent.glob("accelerator*.py")]
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(str(SCRIPT.parent))
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def commands(scripts, tmp_path):
    return scripts["accelerator_commands"].Commands(tmp_path, "cpu", tiny=True, end=time.monotonic() + 600)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def light(*words):
    """`kernbench WORDS` without figures, memory measured in this process: new ones have tests of their own."""

    def peak(target, *sizes):
        assert target == "kernbench.bench.convolution:layer"
        return max(1, timing.added_peak(convolution.layer(*sizes), "cpu")) / 2**20

    convolution.fresh_peak = peak
    call_main_without_figures(*words)


@pytest.fixture
def forking(scripts, monkeypatch):
    """Commands of kernbench are forked from a process that has imported everything."""
    usual = scripts["accelerator_commands"]._start

    def start(command, environment, log):
        if command[1:3] != ["-m", "kernbench"]:
            return usual(command, environment, log)
        with log.with_suffix(".out").open("wb") as out, log.with_suffix(".err").open("wb") as err:
            return Forked(light, command[3:], command, env=environment, stdout=out, stderr=err, session=True)

    monkeypatch.setattr(scripts["accelerator_commands"], "_start", start)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a dozen processes, one after the other
def test_every_part_gives_its_tables(scripts, forking, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--device", "cpu", "--tiny", "--out", "found", "--patience", "60"]
    monkeypatch.setattr(sys, "argv", ["accelerator.py", *words])
    code = scripts["accelerator"].main()
    found = tmp_path / "found"
    page = (found / "accelerator.md").read_text()
    assert code == 0, f"{capsys.readouterr()}\n{page}"
    sections = {text.partition("\n")[0]: text for text in page.split("### ")[1:]}
    assert list(sections) == ["doctor", *TABLES]
    for part, names in TABLES.items():
        for name in names:
            assert rows(found / f"{name}.csv"), name
            assert " | ".join(rows(found / f"{name}.csv")[0]) in sections[part]
    assert rows(found / "accelerator_doctor.csv") if "|" in sections["doctor"] else "no command" in sections["doctor"]
    assert "PyTorch 2." in page.partition("###")[0]
    assert "its numbers mean nothing" in page.partition("###")[0]
    tests = rows(found / "accelerator_tests.csv")
    assert sum(int(row["failed"]) for row in tests) == 0
    assert sum(int(row["passed"]) + int(row["skipped"]) for row in tests) >= 40
    assert float(rows(found / "accelerator_train.csv")[0]["s per epoch"]) > 0
    assert [row["outcome"][:2] for row in rows(found / "accelerator_compile.csv")] == ["ok", "co"]
    constants = (found / "cpu.json").read_text()
    assert '"note": "fitted by benchmarks/accelerator.py on ' in constants


def test_a_part_that_fails_costs_its_own_tables_alone(scripts, tmp_path, monkeypatch, capsys):
    def broken(_commands):
        yield BenchTable("half", "What it had", ["a"], [[1]])
        raise ValueError("no more")

    def skipped(_commands):
        raise scripts["accelerator_commands"].SkippedError("not here")

    def works(_commands):
        yield BenchTable("full", "All of it", ["b"], [[2]])

    accelerator = scripts["accelerator"]
    monkeypatch.setattr(accelerator, "PARTS", {"broken": broken, "skipped": skipped, "works": works})
    monkeypatch.setattr(sys, "argv", ["accelerator.py", "--device", "cpu", "--out", str(tmp_path / "found")])
    assert accelerator.main() == 1
    page = (tmp_path / "found" / "accelerator.md").read_text()
    for said in ("What it had.", "Failed: no more.", "Skipped: not here.", "All of it."):
        assert said in page
    assert "failed: broken" in capsys.readouterr().out
    assert {path.stem for path in (tmp_path / "found").glob("*.csv")} == {"half", "full"}


def test_no_part_begins_after_the_end(scripts, tmp_path, monkeypatch):
    accelerator = scripts["accelerator"]
    monkeypatch.setattr(accelerator, "PARTS", {"late": lambda _commands: pytest.fail("begun")})
    clock = iter(range(0, 10_000, 100))  # each look at the clock is 100 s later
    monkeypatch.setattr(accelerator.time, "monotonic", lambda: next(clock))
    machine = '{"gpu": "A card", "cuda": "1", "python": "3", "git": null, "packages": {"torch": "2", "kernbench": "0"}}'
    said = scripts["accelerator_commands"].Done(0, machine, 1.0, None)
    monkeypatch.setattr(accelerator.Commands, "run", lambda *_arguments: said)
    words = ["accelerator.py", "--minutes", "1", "--out", str(tmp_path / "found")]
    monkeypatch.setattr(sys, "argv", words)
    assert accelerator.main() == 1
    page = (tmp_path / "found" / "accelerator.md").read_text()
    assert page.startswith("## A card\n")
    assert "Failed: not run: the 1 minutes were over." in page


def test_a_command_beyond_its_limit_is_ended_with_what_it_started(scripts, commands, tmp_path, monkeypatch):
    usual = scripts["accelerator_commands"]._start

    def start(command, environment, log):  # its second begins to count when it has said what is asserted
        process = usual(command, environment, log)
        wait_until(log.with_suffix(".out").read_text, process)
        return process

    monkeypatch.setattr(scripts["accelerator_commands"], "_start", start)
    child = "import time; time.sleep(600)"
    code = (
        f"import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', {child!r}]);"
        "print(p.pid, flush=True); time.sleep(600)"
    )
    with pytest.raises(scripts["accelerator_commands"].FailedError, match="long: took longer than its 1 s"):
        commands.run("long", [sys.executable, "-c", code], 1)
    (pid,) = (tmp_path / "logs" / "long.out").read_text().split()
    wait_until(lambda: _ended(Path(f"/proc/{pid}/stat")))  # SIGKILL was sent; on a busy machine it takes its time


def _ended(stat):
    """Whether a process is gone, or a zombie."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_copies_run_concurrently_and_one_that_fails_is_named(scripts, commands, tmp_path):
    meet = (  # each copy waits until the other is there
        "import pathlib, os, time\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "(here / f'{os.getpid()}.here').touch()\n"
        "while len(list(here.glob('*.here'))) < 2: time.sleep(0.01)\n"
    )
    done = commands.run("meet", [sys.executable, "-c", meet], 300, copies=2)
    assert done.code == 0
    assert done.utilization > 0
    with pytest.raises(scripts["accelerator_commands"].FailedError, match="bad: exit code 3, a reason"):
        commands.run("bad", [sys.executable, "-c", "import sys; print('a reason', file=sys.stderr); sys.exit(3)"], 300)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "fit,trian"], "expected parts of doctor, gpu-tests, fit,"),
        (["--out", "."], "expected a new or empty folder, . is not; name another one"),
    ],
)
def test_input_that_cannot_be_used_is_refused(scripts, tmp_path, monkeypatch, capsys, words, said):
    (tmp_path / "something").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["accelerator.py", *words])
    with pytest.raises(SystemExit) as ended:
        scripts["accelerator"].main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_device_that_is_not_there_is_one_line(scripts, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["accelerator.py", "--device", "tpu", "--out", str(tmp_path / "found")])
    assert scripts["accelerator"].main() == 2
    assert "expected auto, cpu or cuda[:i], got 'tpu'" in capsys.readouterr().err
