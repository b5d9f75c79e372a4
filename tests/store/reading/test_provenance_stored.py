"""Each cell keeps what made it: environment, plugin and the digest of the plugin's source."""

import functools
import hashlib
from pathlib import Path

import fakes
import kernbench_siren
from fakes import NINE, THIRTY_THREE

from kernbench.engine.work import environment
from kernbench.engine.work.environment import source_digest
from kernbench.kernels.family import KernelFamily
from kernbench.registry import find, find_family
from kernbench.store.reading.runs import load_runs

PLUGIN = """
import kernbench

class Kernel(kernbench.KernelModule):
    pass

@kernbench.hookimpl
def kernbench_kernels():
    return [kernbench.KernelFamily("mine", Kernel)]
"""


def by_hand(files, folder):
    content = b"".join(f"{name}\n".encode() + (folder / name).read_bytes() + b"\n" for name in files)
    return hashlib.sha256(content).hexdigest()[:12]


def test_the_digest_of_a_package_covers_its_modules():
    folder = Path(kernbench_siren.__file__).parent
    names = sorted(path.name for path in folder.glob("*.py"))
    assert len(names) > 1
    assert source_digest(find_family("siren")) == by_hand(names, folder)


def test_an_edited_file_has_another_digest(tmp_path):
    digests = set()
    for text in (PLUGIN, PLUGIN + "# edited\n"):
        (tmp_path / "mine.py").write_text(text)
        digests.add(source_digest(find(str(tmp_path / "mine.py")).family))
    assert len(digests) == 2


def test_what_has_no_source_has_no_digest():
    assert source_digest(KernelFamily("lost", "no_such_module:Kernel")) == ""


def test_source_and_tree_are_those_of_the_start_of_a_run(world, monkeypatch):
    now = {"git": "first", "source": "first"}
    # the two caches hold what was read first; here what is on the disk changes in the first cell
    monkeypatch.setattr(environment, "_git", functools.cache(lambda: now["git"]))
    monkeypatch.setattr(environment, "_files_digest", functools.cache(lambda *_names: now["source"]))

    def compute(_context):
        now.update(git="edited", source="edited")
        return fakes.outcome()

    world.run(compute=compute)
    assert {(run.environment["git"], run.plugin_source) for run in load_runs(world.url)} == {("first", "first")}


def test_finished_and_failed_cells_keep_environment_and_plugin(world):
    world.run(compute=fakes.raises(ValueError("bad")))
    runs = {run.cell: run for run in load_runs(world.url)}
    assert runs[NINE].status == "error"
    done, failed = runs[THIRTY_THREE], runs[NINE]
    assert failed.environment == done.environment
    assert done.environment["packages"]["torch"]
    for run in (done, failed):
        assert run.plugin == world.found.label
        assert run.plugin_source == source_digest(world.found.family)
        assert run.kernbench_version == run.environment["packages"]["kernbench"]
        assert run.device == "cpu"
