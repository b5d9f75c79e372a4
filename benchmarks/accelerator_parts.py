"""The parts of `accelerator.py`: each runs commands and gives tables as soon as it has them."""

import csv
import functools
import json
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from accelerator_commands import REPOSITORY, Commands, FailedError, SkippedError
from accelerator_training import compiling, train, workers

from kernbench.bench.table import BenchTable, Value

__all__ = ["PARTS", "Commands", "FailedError", "SkippedError"]

FIT_PASSES = 3


def doctor(commands: Commands) -> Iterator[BenchTable]:
    """Is the machine fit, and does the device compute what the CPU computes?"""
    words = ["doctor", "--device", commands.device, "--storage", f"sqlite:///{commands.folder / 'doctor.db'}", "--json"]
    try:
        done = commands.kernbench("doctor", words, 60, codes=(0, 1))
    except FailedError as error:
        if "no command" in str(error).lower():
            raise SkippedError("this kernbench has no command doctor") from None
        raise
    rows = [[each[name] for name in ("check", "status", "found", "advice")] for each in json.loads(done.out)]
    cells = [[str(value).replace("|", "/") for value in row] for row in rows]
    yield BenchTable("accelerator_doctor", "`kernbench doctor`", ["check", "status", "found", "advice"], cells)


def gpu_tests(commands: Commands) -> Iterator[BenchTable]:
    """The tests that need the device."""
    files = [path for path in sorted((REPOSITORY / "tests").rglob("test_*.py")) if "mark.gpu" in path.read_text()]
    if not files:
        raise SkippedError("there are no tests beside this script")
    report = commands.folder / "gpu_tests.xml"
    words = ["-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *map(str, files)]
    try:
        commands.run("gpu_tests", [sys.executable, *words], 75, codes=(0, 1))
    except FailedError as error:
        if "No module named pytest" in str(error):
            raise SkippedError("pytest is not installed") from None
        raise
    yield _tests_table(report)


def _tests_table(report: Path) -> BenchTable:
    """Outcomes by file, and a row for each test that failed."""
    outcomes: dict[str, Counter[str]] = {}
    seconds: Counter[str] = Counter()
    broken: list[list[Value]] = []
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  # pytest has just written it
        name = case.get("classname", "")
        found = next((each.tag for each in case if each.tag in ("failure", "error", "skipped")), "passed")
        outcomes.setdefault(name, Counter())[found] += 1
        seconds[name] += float(case.get("time", 0))
        if found in ("failure", "error"):
            broken.append([f"{name}: {case.get('name')}".replace("|", "/"), 0, 1, 0, float(case.get("time", 0))])
    rows = [
        [name, each["passed"], each["failure"] + each["error"], each["skipped"], seconds[name]]
        for name, each in outcomes.items()
    ]
    heads = ["tests", "passed", "failed", "skipped", "s"]
    return BenchTable("accelerator_tests", "`pytest -m gpu`", heads, [*rows, *broken])


def fit(commands: Commands) -> Iterator[BenchTable]:
    """Constants by which `auto` decides; the parts that follow decide by them."""
    kind = commands.device.partition(":")[0]
    words = ["bench", "fit", "--device", commands.device, "--out", str(commands.folder)]
    if commands.tiny:
        script = REPOSITORY / "benchmarks" / "accelerator_tiny_fit.py"
        commands.run("fit", [sys.executable, str(script), *words, "--passes", "1"], 60)
    else:
        commands.kernbench("fit", [*words, "--passes", str(FIT_PASSES)], 100)
    yield _read_table(commands.folder / "conv_fit.csv", "Predicted against measured seconds of layers, `bench fit`")
    (stored,) = (commands.folder / "cache" / "convolution").glob(f"{kind}-*.json")
    content = json.loads(stored.read_text(encoding="utf-8"))
    known = content["machine"]
    content["machine"]["note"] = f"fitted by benchmarks/accelerator.py on {known['device']}, torch {known['torch']}"
    kept = commands.folder / f"{kind}.json"
    kept.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    rows: list[list[Value]] = [[name, str(value)] for name, value in known.items()]
    rows.append(["to take them as those that come with kernbench", f"`cp {kept.name} kernbench/conv/{kind}.json`"])
    yield BenchTable("accelerator_fit", f"Origin of the constants in `{kept.name}`", ["what", "value"], rows)


def conv(channels: int, commands: Commands) -> Iterator[BenchTable]:
    """A layer on every backend, beside cuDNN's fastest and fft-conv-pytorch: time and memory."""
    out = commands.folder / f"conv_{channels}"
    words = ["bench", "conv", "--device", commands.device, "--channels", str(channels), "--out", str(out)]
    if commands.tiny:  # on a CPU memory takes a process for each backend: of one width
        memory = "--memory" if channels == CONV_CHANNELS[0] else "--no-memory"
        words += ["--kernel-sizes", "9", "--batch", "1", "--samples", "200", "--turns", "1", memory]
    commands.kernbench(f"conv_{channels}", words, 75)
    size = f"{channels} to {channels} channels, `bench conv`"
    time_table = _read_table(out / "conv_time.csv", f"Layer, forward and backward, {size}")
    yield BenchTable(f"accelerator_conv_{channels}", time_table.title, time_table.columns, time_table.rows)
    memory_file = out / f"conv_memory_{channels}.csv"
    if memory_file.exists():
        found = _read_table(memory_file, f"Memory that a pass adds, {size}")
        yield BenchTable(f"accelerator_conv_memory_{channels}", found.title, found.columns, found.rows)


def simulate(commands: Commands) -> Iterator[BenchTable]:
    """The lines of a study from nothing; a second call, which finds them, says what starting takes."""
    profile = "smoke" if commands.tiny else "thesis"
    words = ["data", "simulate", "--study", "k_sweep", "--profile", profile, "--device", commands.device]
    first = commands.kernbench("simulate", words, 75, cache="cache_of_simulation")
    again = commands.kernbench("simulate_again", words, 40, cache="cache_of_simulation")
    said = next(line for line in first.out.splitlines() if line.startswith("data "))
    yield BenchTable(
        "accelerator_simulate",
        "Simulation of the lines of `k_sweep`, their storage included",
        ["lines", "first call [s]", "again, from the cache [s]", "difference [s]", "utilization [%]"],
        [
            [
                said.partition(": ")[2].partition(", in ")[0],
                first.seconds,
                again.seconds,
                first.seconds - again.seconds,
                first.utilization,
            ]
        ],
    )


def _read_table(path: Path, title: str) -> BenchTable:
    """A table that a command of kernbench has written."""
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    return BenchTable(path.stem, title, head, [[_value(each) for each in row] for row in rows])


def _value(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None


CONV_CHANNELS = (22, 64)

# In this order each part counts even if the next one does not come.
PARTS: dict[str, Callable[[Commands], Iterator[BenchTable]]] = {
    "doctor": doctor,
    "gpu-tests": gpu_tests,
    "fit": fit,
    **{f"conv-{channels}": functools.partial(conv, channels) for channels in CONV_CHANNELS},
    "train": train,
    "workers": workers,
    "simulate": simulate,
    "compile": compiling,
}
