"""Data sets: what a recipe determines, and a cache that survives damage, company and full disks."""

import errno
import json
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from forked import Forked

from kernbench.errors import DataError, KernbenchWarning
from kernbench.host.files import canonical
from kernbench.ulm.data import cache
from kernbench.ulm.data import recipe as dataset
from kernbench.ulm.data.recipe import Recipe, cache_folder, describe_cache, draw_line, load_split
from kernbench.ulm.simulator.simulate import Scene, simulate_lines

SMALL = Recipe({"train": 3, "validation": 2, "test": 2}, window=256, seed=1)


def entry(recipe=SMALL, split="train"):
    return cache_folder() / "lines" / recipe.digest() / split


def spy(monkeypatch):
    """List that grows with every simulation."""
    calls = []

    def simulate(*args, **kwargs):
        calls.append(args)
        return simulate_lines(*args, **kwargs)

    monkeypatch.setattr(dataset, "simulate_lines", simulate)
    return calls


def test_split_holds_what_the_simulator_gives():
    split = load_split(SMALL, "train")
    drawn = [draw_line(SMALL, "train", line) for line in range(3)]
    lines = simulate_lines([scene for scene, _ in drawn], window=([start for _, start in drawn], 256))
    assert np.array_equal(split.voltage, lines.voltage.numpy())
    assert np.array_equal(split.counts, lines.counts.numpy())
    assert (split.voltage.dtype, split.counts.dtype) == (np.float32, np.uint8)
    assert split.bubbles.tolist() == [len(scene.z_m) for scene, _ in drawn]
    assert split.pressure_pa.tolist() == [scene.pressure_pa for scene, _ in drawn]
    assert split.starts.tolist() == [start for _, start in drawn]


def test_windows_lie_in_the_label_support():
    starts = [draw_line(Recipe({"test": 1}, window=2048, seed=3), "test", line)[1] for line in range(300)]
    assert min(starts) >= 312
    assert max(starts) + 2047 <= 8176
    assert np.std(starts) == pytest.approx((7865 - 2048) / 12**0.5, rel=0.1)
    assert draw_line(Recipe({"test": 1}, window=7865), "test", 0)[1] == 312


def test_windowed_and_whole_recipes_share_their_scenes():
    windowed, whole = (draw_line(Recipe({"test": 1}, window=window, seed=3), "test", 0)[0] for window in (100, None))
    assert np.array_equal(windowed.z_m, whole.z_m)


def test_line_does_not_depend_on_the_number_of_lines():
    more = Recipe({"train": 5}, window=256, seed=1)
    few, many = load_split(SMALL, "train"), load_split(more, "train")
    assert np.allclose(few.voltage, many.voltage[:3], rtol=0, atol=1e-6 * np.abs(few.voltage).max())
    assert np.array_equal(few.counts, many.counts[:3])


def test_splits_and_seeds_differ():
    other = Recipe(SMALL.lines, window=256, seed=2)
    drawn = [draw_line(recipe, split, 0)[0].pressure_pa for recipe in (SMALL, other) for split in dataset.SPLITS]
    assert len(set(drawn)) == 6


def test_digest_is_stable():
    # Known by hand: SHA-256 of this text. It must not move between releases unless RECIPE_VERSION does.
    text = (
        '{"lines":{"test":2,"train":3,"validation":2},"population":"monodisperse","receive_response":null,"seed":1,'
        '"time_step_ns":16,"transmit_response":null,"version":1,"window":256}'
    )
    assert canonical(SMALL.facts()) == text
    assert Recipe({"test": 2, "validation": 2, "train": 3}, window=256, seed=1).digest() == SMALL.digest()


def test_digest_covers_every_field_and_measured_responses_by_content(tmp_path):
    a, b, copy_of_a = (str(tmp_path / name) for name in ("a.mat", "b.mat", "copy.mat"))
    for path, content in ((a, "a"), (b, "b"), (copy_of_a, "a")):
        Path(path).write_text(content)
    lines = {"train": 3}
    recipes = [
        Recipe(lines),
        Recipe({"train": 4}),
        Recipe(lines, window=100),
        Recipe(lines, population="polydisperse"),
        Recipe(lines, seed=1),
        Recipe(lines, transmit_response=a),
        Recipe(lines, transmit_response=b),
        Recipe(lines, receive_response=a),
    ]
    assert len({recipe.digest() for recipe in recipes}) == len(recipes)
    assert Recipe(lines, transmit_response=copy_of_a).digest() == Recipe(lines, transmit_response=a).digest()


def test_second_load_reads_the_cache(monkeypatch):
    seen = []
    first = load_split(SMALL, "train", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1]
    calls = spy(monkeypatch)
    assert np.array_equal(load_split(SMALL, "train").voltage, first.voltage)
    assert not calls


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "cut": lambda folder: (folder / "voltage.npy").write_bytes((folder / "voltage.npy").read_bytes()[:-9]),
    "empty": lambda folder: (folder / "counts.npy").write_bytes(b""),
    "changed": lambda folder: flip_last_byte(folder / "voltage.npy"),
    "missing": lambda folder: (folder / "counts.npy").unlink(),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "cut manifest": lambda folder: (folder / "manifest.json").write_text("{"),
    "odd manifest": lambda folder: (folder / "manifest.json").write_text("[]"),
    "edited manifest": lambda folder: (folder / "manifest.json").write_text(
        (folder / "manifest.json").read_text().replace('"starts"', '"stops"')
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_noticed_and_repaired(damage):
    before = load_split(SMALL, "train").voltage.copy()
    DAMAGE[damage](entry())
    assert describe_cache()[0].problem
    with pytest.warns(KernbenchWarning, match="simulating them again"):
        after = load_split(SMALL, "train")
    assert np.array_equal(after.voltage, before)
    assert not describe_cache()[0].problem


def test_entry_of_another_recipe_is_not_taken():
    load_split(SMALL, "train")
    other = Recipe(SMALL.lines, window=256, seed=2)
    entry(other).parent.mkdir(parents=True)
    entry().rename(entry(other))
    with pytest.warns(KernbenchWarning, match="another recipe"):
        load_split(other, "train")


def test_unwritable_cache_is_one_line_with_the_way_out(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("KERNBENCH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match="Set KERNBENCH_CACHE") as error:
        load_split(SMALL, "train")
    assert str(tmp_path / "file" / "cache") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("module", "name", "problem", "raised"),
    [
        (cache.np, "save", OSError(errno.ENOSPC, "No space left on device"), DataError),
        (dataset, "simulate_lines", KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_full_disk_or_an_interrupt_leaves_nothing_behind(monkeypatch, module, name, problem, raised):
    def fail(*args, **kwargs):
        raise problem

    with monkeypatch.context() as patch:
        patch.setattr(module, name, fail)
        with pytest.raises(raised, match=r"No space left|^$"):
            load_split(SMALL, "train")
    assert not describe_cache()
    assert not [path for path in cache_folder().rglob("*.*") if path.suffix != ".lock"]
    assert load_split(SMALL, "train").voltage.shape == (3, 256)


def test_whole_split_is_found_in_a_cache_that_cannot_be_written(monkeypatch):
    first = load_split(SMALL, "train")

    def refuse(*args):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(cache, "locked", refuse)
    assert np.array_equal(load_split(SMALL, "train").voltage, first.voltage)


def test_leftovers_of_dead_processes_are_removed():
    other = cache_folder() / "lines" / "0123456789ab"
    leftovers = [entry().parent / ".train.99999-abcd.partial", other / ".test.99999-abcd.partial"]
    for leftover in leftovers:
        leftover.mkdir(parents=True)
        (leftover / "voltage.npy").write_text("half")
    load_split(SMALL, "train")
    assert not any(leftover.exists() for leftover in leftovers)


def test_work_of_a_living_process_is_left_alone():
    other = cache_folder() / "lines" / "0123456789ab" / "test"
    with cache.locked(other):
        partial = other.parent / ".test.1-abcd.partial"
        partial.mkdir()
        load_split(SMALL, "train")
        assert partial.is_dir()


def test_without_locks_the_first_rename_wins(monkeypatch):
    monkeypatch.setattr(cache, "_flock", lambda handle, operation: False)
    split = load_split(SMALL, "train")
    cache.write_entry(entry(), {"voltage": split.voltage, "counts": split.counts}, {"again": True})
    assert len(list(entry().parent.glob("*"))) == 2  # the entry and its lock file


def test_two_threads_simulate_once(monkeypatch):
    calls = spy(monkeypatch)
    found = []
    threads = [threading.Thread(target=lambda: found.append(load_split(SMALL, "train"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert np.array_equal(found[0].voltage, found[1].voltage)


def hold(folder):
    """Hold the lock of an entry, with an unfinished folder beside it, until this process is killed."""
    with cache.locked(Path(folder)):
        Path(folder).with_name(".train.1-dead.partial").mkdir()
        print("ready", flush=True)
        time.sleep(600)


@pytest.mark.slow
def test_the_lock_of_another_process_is_waited_for_until_it_dies():
    process = Forked(hold, [entry()], stdout=subprocess.PIPE)
    assert process.stdout.readline() == "ready\n"
    loading = threading.Thread(target=load_split, args=(SMALL, "train"))
    loading.start()
    loading.join(1)
    waited = loading.is_alive()
    process.kill()
    process.communicate(timeout=300)
    loading.join(300)
    assert waited
    assert [each.problem for each in describe_cache()] == [""]
    assert not list(entry().parent.glob(".*.partial"))


def test_describe_cache_lists_every_split():
    assert describe_cache() == []
    for split in SMALL.lines:
        load_split(SMALL, split)
    entries = describe_cache()
    assert [(e.split, e.lines, e.problem) for e in entries] == [
        ("test", 2, ""),
        ("train", 3, ""),
        ("validation", 2, ""),
    ]
    assert {e.digest for e in entries} == {SMALL.digest()}
    assert entries[0].recipe["window"] == 256
    assert all(e.size_bytes > 2 * 256 * 5 for e in entries)


def test_manifest_names_files_bubbles_pressures_and_versions():
    load_split(SMALL, "train")
    manifest = json.loads((entry() / "manifest.json").read_text())
    assert set(manifest["files"]) == {"voltage.npy", "counts.npy"}
    assert {"recipe", "split", "bubbles", "pressure_pa", "starts", "versions"} <= set(manifest["facts"])
    assert {"kernbench", "numpy", "torch"} <= set(manifest["facts"]["versions"])


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("KERNBENCH_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("KERNBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "kernbench"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lines": {"trian": 3}}, "did you mean 'train'"),
        ({"lines": {"train": 0}}, "1 line or more"),
        ({"lines": {"train": 1}, "window": 7866}, "1 to 7865"),
        ({"lines": {"train": 1}, "seed": -1}, "0 or more"),
        ({"lines": {"train": 1}, "population": "mono"}, "monodisperse"),
    ],
)
def test_impossible_recipe_is_refused(fields, message):
    with pytest.raises(DataError, match=message):
        Recipe(**fields)


def test_unknown_or_absent_split_is_refused():
    with pytest.raises(DataError, match="did you mean 'test'"):
        load_split(SMALL, "tests")
    with pytest.raises(DataError, match="the recipe has no split 'test', only train"):
        load_split(Recipe({"train": 1}), "test")


def test_missing_response_file_is_refused():
    with pytest.raises(DataError, match=r"nowhere\.mat cannot be read"):
        load_split(Recipe({"train": 1}, transmit_response="nowhere.mat"), "train")


def test_polydisperse_lines_take_the_smaller_step(monkeypatch):
    steps = []

    def simulate(scenes, *, time_step_s, **options):
        steps.append(time_step_s)
        return simulate_lines([Scene([], [], [], scene.pressure_pa) for scene in scenes], window=options["window"])

    monkeypatch.setattr(dataset, "simulate_lines", simulate)
    load_split(Recipe({"train": 1}, window=64, population="polydisperse"), "train")
    assert steps == pytest.approx([8e-9])
