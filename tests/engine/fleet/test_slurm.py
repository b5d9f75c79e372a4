"""The array script is bash that runs one worker with what was typed, whatever that was; bad input is refused."""

import json
import shlex
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernbench.engine.fleet import slurm
from kernbench.errors import KernbenchError, StorageError

URL = "postgresql+psycopg://kb@dbhost/kernbench"
REQUEST = slurm.Request(study="k_sweep", profile="thesis", storage=URL, python="/opt/env/bin/python", folder="/tmp")

# srun of the tests: writes what it was called with, and where and with which settings.
SRUN = """#!/usr/bin/env python3
import json, os, sys
names = ("OMP_NUM_THREADS", "KERNBENCH_STORAGE", "KERNBENCH_CACHE")
print(json.dumps([os.getcwd(), sys.argv[1:], {name: os.environ.get(name) for name in names}]))
"""


def options(text):
    """The `#SBATCH` options of a script."""
    return [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH ")]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Runs a script with a srun that tells what it was given: folder, words, settings."""
    programs = tmp_path_factory.mktemp("programs")
    (programs / "srun").write_text(SRUN)
    (programs / "srun").chmod(0o755)

    def run(text):
        done = subprocess.run(
            ["/bin/bash", "-c", text],
            env={"PATH": f"{programs}:/usr/bin:/bin", "SLURM_CPUS_PER_TASK": "3", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        return json.loads(done.stdout)

    return run


def test_each_task_is_a_worker_that_is_notified_in_time(executed):
    text = slurm.script(replace(REQUEST, array=16, at_once=4, cpus=3, gpu=True, time="1-12:00:00", grace_s=300))
    assert text.startswith("#!/bin/bash\n")
    wanted = "--array=0-15%4 --time=1-12:00:00 --signal=TERM@300 --requeue --cpus-per-task=3 --gres=gpu:1"
    assert set(options(text)) >= set(wanted.split())
    folder, words, settings_ = executed(text)
    assert (folder, settings_["OMP_NUM_THREADS"], settings_["KERNBENCH_STORAGE"]) == ("/tmp", "3", URL)
    worker = "/opt/env/bin/python -m kernbench worker --study k_sweep --profile thesis --device cuda"
    assert words == ["--cpus-per-task=3", *worker.split()]
    # without a graphics card the script asks for none
    text = slurm.script(REQUEST)
    assert not [option for option in options(text) if "gres" in option]
    assert executed(text)[1][-2:] == ["--device", "cpu"]


@settings(max_examples=40)
@given(
    plugin=st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), min_size=1),
    cache=st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), min_size=1),
)
def test_no_text_escapes_its_quotes(executed, plugin, cache):
    text = slurm.script(replace(REQUEST, plugin=plugin, environment={"KERNBENCH_CACHE": cache}))
    _, words, settings_ = executed(text)
    assert words[words.index("--plugin") + 1] == plugin
    assert settings_["KERNBENCH_CACHE"] == cache


def test_the_folder_may_have_any_name(executed, tmp_path):
    folder = tmp_path / 'it\'s $HOME "and" `{more}`'
    folder.mkdir()
    assert executed(slurm.script(replace(REQUEST, folder=str(folder))))[0] == str(folder)


def test_what_is_said_to_run_first_is_the_same_study():
    said = slurm.fill_command(replace(REQUEST, plugin="siren"), "./my sweep.toml")
    words = f"kernbench run --study './my sweep.toml' --profile thesis --plugin siren --storage {URL} --workers 0"
    assert shlex.split(said) == shlex.split(words)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"storage": "sqlite:///kernbench.db"}, StorageError, "cannot share a SQLite file"),
        ({"storage": "postgresql+psycopg://kb:secret@dbhost/kernbench"}, StorageError, "would hold the password"),
        ({"storage": f"{URL}?password=secret"}, StorageError, "would hold the password"),
        ({"time": "4 hours"}, KernbenchError, "--time '4 hours': expected minutes, HH:MM:SS or D-HH:MM:SS"),
        ({"time": "1:2:3:4"}, KernbenchError, "--time"),
        ({"extra": ["--mem=8G\n#SBATCH --uid=0"]}, KernbenchError, "--sbatch"),
        ({"extra": ["rm"]}, KernbenchError, "expected one option of sbatch"),
        ({"extra": ["--array=0-3"]}, KernbenchError, "--array is written by kernbench itself"),
        ({"environment": {"KERNBENCH_CACHE": "a\nb"}}, KernbenchError, "KERNBENCH_CACHE holds a line break"),
        ({"folder": "/a\nb"}, KernbenchError, "holds a line break"),
        ({"plugin": "a\nb"}, KernbenchError, "holds a line break"),
        ({"python": "/a\nb"}, KernbenchError, "holds a line break"),
    ],
)
def test_bad_requests_are_refused(change, error, said):
    with pytest.raises(error) as caught:
        slurm.script(replace(REQUEST, **change))
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("time", ["30", "90:00", "4:00:00", "1-0", "2-12:30", "7-00:00:00"])
def test_times_as_slurm_writes_them(time):
    assert f"--time={time}" in options(slurm.script(replace(REQUEST, time=time)))
