"""`kernbench doctor` as a user sees it, and the errors that lead to it."""

import json
import re
import subprocess
import sys

import pytest
import torch

from kernbench.doctor import examining
from kernbench.doctor.finding import Asked, Finding


@pytest.fixture
def groups(monkeypatch):
    """Limits the doctor to some groups."""
    return lambda *names: monkeypatch.setattr(examining, "GROUPS", names)


@pytest.mark.slow
def test_this_machine_passes_and_nothing_is_written(bench):
    ended = bench.run("doctor")
    assert (ended.code, ended.err) == (0, ""), ended
    assert bench.files() == []
    *lines, last = ended.out.splitlines()
    assert re.fullmatch(r"doctor: [0-9]+ checks passed( \(.*\))?", last), ended
    words = [re.split(r"  +", line, maxsplit=2) for line in lines]
    found = [Finding(check, status, rest) for status, check, rest in words]
    assert {each.status for each in found} <= {"ok", "note"}, ended
    checks = {each.check.partition(" ")[0] for each in found}
    assert checks >= {"versions", "device", "plugins", "backend", "cache", "storage", *examining.ON_DEVICE[1:]}
    assert torch.__version__ in found[0].found


def test_a_torch_that_cannot_be_imported_is_some_lines_and_the_others_go_on(tmp_path):
    program = (
        "import sys; sys.modules['torch'] = None  # importing it fails\n"
        "from kernbench.cli import main; sys.argv = ['kernbench', 'doctor', '--json']; main()"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (1, "")
    found = {each["check"]: each for each in json.loads(done.stdout)}
    assert {found[name]["status"] for name in ("versions", "extras", "cache", "storage", "storage locks")} == {"ok"}
    assert found["machine"]["status"] == "fail"
    assert "torch" in found["machine"]["found"]


def test_json_is_a_list_of_all_findings(bench, groups):
    groups("cache", "machine")
    ended = bench.run("doctor", "--device", "cpu", "--json")
    found = json.loads(ended.out)
    assert [each["check"] for each in found] == ["cache", "cache room", "processor", "device"]
    assert all(each.keys() == {"check", "status", "found", "advice"} for each in found)
    assert (ended.code, ended.err) == (0, "")


def test_a_failure_is_a_line_with_advice_and_exit_code_1(bench, groups, monkeypatch):
    groups("cache", "plugins")
    monkeypatch.setenv("KERNBENCH_CACHE", "/proc/found")
    ended = bench.run("doctor")
    assert ended.code == 1, ended
    first, second, *_ = ended.out.splitlines()
    assert re.fullmatch(r"FAIL  cache +folder /proc/found cannot be written \(.*\); set KERNBENCH_CACHE to .*", first)
    assert second.startswith("skip  cache room")
    assert ended.err == "doctor: 1 of 4 checks failed: cache\n"
    assert json.loads(bench.run("doctor", "--json").out)[0]["status"] == "fail"


def test_what_a_plugin_says_does_not_act_on_the_terminal(monkeypatch, groups):
    groups("cache")
    monkeypatch.setattr("kernbench.doctor.cache.cache_folder", _sick)
    found = list(examining.examine(Asked("cpu", "sqlite:///x.db")))
    assert found[0].found == r"ValueError: \x1b[2J"


def _sick():
    raise ValueError("\x1b[2J")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--device", "gpu"), "expected auto, cpu or cuda[:i], got 'gpu'"),
        (("--storage", "nonsense"), "is not a database URL"),
        (("--device", "cuda:x"), "cuda"),
    ],
)
def test_bad_input_is_refused(refused, words, said):
    refused("doctor", *words, said=[said])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_errors_about_the_device_and_the_cache_lead_to_the_doctor(refused, monkeypatch):
    run = ("run", "--plugin", "siren", "--study", "smoke", "--profile", "smoke")
    refused(*run, "--device", "cuda", said=["0 CUDA devices", "see `kernbench doctor`"])
    monkeypatch.setenv("KERNBENCH_CACHE", "/proc/found")
    refused(*run, said=["set KERNBENCH_CACHE", "see `kernbench doctor`"])


def test_errors_about_a_storage_that_does_not_answer_lead_to_the_doctor(refused):
    pytest.importorskip("psycopg")
    url = "postgresql+psycopg://me@127.0.0.1:1/name"
    refused("status", "--storage", url, said=["cannot be opened", "see `kernbench doctor`"])
