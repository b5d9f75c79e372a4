"""Checkpoints: a kill, a full disk or a hostile file never costs more than the time since the last one."""

import errno
import os
import pickle
import resource
import zipfile

import pytest
import torch

from kernbench.errors import KernbenchWarning, StorageError
from kernbench.host import files
from kernbench.store.files import checkpoints
from kernbench.store.files.checkpoints import CellCheckpoints

KEY = "0123456789abcdef"
DIGEST = "feedfeedfeed"


def write(folder, trial, number=1.0, digest=DIGEST, key=KEY):
    """Save a state as an attempt does."""
    state = {"digest": digest, "weights": {"a": torch.full((4,), number)}, "curve": [{"epoch": 0, "f": None}]}
    CellCheckpoints(folder, key, trial).save(state)
    return folder / f"{key}.{trial}.pt"


def value(folder):
    """What the newest intact checkpoint holds."""
    loaded = CellCheckpoints(folder, KEY, 0).newest(DIGEST)
    assert loaded is None or loaded["curve"] == [{"epoch": 0, "f": None}]
    return None if loaded is None else float(loaded["weights"]["a"][0])


def test_the_newest_attempt_wins_by_number_not_by_name(tmp_path):
    for trial in (2, 10, "copy", 9):
        write(tmp_path, trial, 0.0 if trial == "copy" else trial)
    assert value(tmp_path) == 10


def test_checkpoints_of_other_cells_and_other_definitions_are_ignored(tmp_path):
    folder = tmp_path / "made" / "when first needed"
    assert value(folder) is None
    write(folder, 5, 5.0, digest="another")
    write(folder, 9, 9.0, key=KEY[::-1])
    assert value(folder) is None
    write(folder, 1, 1.0)
    assert value(folder) == 1.0


class Marker:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def zipped(path, _marker):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("hello", "world")


DAMAGES = {
    "cut": lambda path, _marker: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path, _marker: os.truncate(path, 0),
    "garbage": lambda path, _marker: path.write_bytes(bytes(range(256)) * 8),
    "zip": zipped,
    "pickle": lambda path, marker: path.write_bytes(pickle.dumps(marker, protocol=2)),
    "code": lambda path, marker: torch.save({"digest": DIGEST, "weights": marker}, path),  # well formed otherwise
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_reported_never_executed_and_the_one_before_is_used(tmp_path, damage):
    write(tmp_path, 1, 1.0)
    DAMAGES[damage](write(tmp_path, 2, 2.0), Marker(tmp_path / "ran"))
    with pytest.warns(KernbenchWarning, match=r"\.2\.pt is damaged") as said:
        assert value(tmp_path) == 1.0
    assert "\n" not in str(said[0].message)
    assert not (tmp_path / "ran").exists()


def test_another_kind_of_state_is_not_of_this_cell(tmp_path):
    write(tmp_path, 1, 1.0)
    torch.save([1, 2], write(tmp_path, 2))
    assert value(tmp_path) == 1.0


def test_a_link_is_not_followed(tmp_path):
    target = write(tmp_path / "elsewhere", 1)
    (tmp_path / f"{KEY}.7.pt").symlink_to(target)
    with pytest.warns(KernbenchWarning, match="no plain file and skipped"):
        assert value(tmp_path) is None
    checkpoints.remove(tmp_path, KEY)
    assert target.exists()


@pytest.mark.parametrize("moment", ["save", "fsync"])
def test_a_full_disk_is_one_line_and_the_old_file_stays_whole(tmp_path, monkeypatch, moment):
    path = write(tmp_path, 1, 1.0)
    before = path.read_bytes()

    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def half(_state, file):
        file.write(before[:100])
        raise RuntimeError("PytorchStreamWriter failed writing file: file write failed")

    target = {"save": ("torch.save", half), "fsync": ("os.fsync", full)}
    monkeypatch.setattr(*target[moment])
    with pytest.raises(StorageError, match="cannot be written") as error:
        write(tmp_path, 1, 2.0)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_file_that_may_not_grow_is_reported(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(StorageError, match="cannot be written"):
            write(tmp_path, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["file/checkpoints", "/proc/kernbench"])
def test_a_folder_that_cannot_be_written_is_reported(tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        write(tmp_path / place, 1)


def test_removing_takes_all_of_a_cell_and_nothing_else(tmp_path):
    write(tmp_path, 1)
    write(tmp_path, 2)
    with files.whole_file(tmp_path / f"{KEY}.3.pt") as file:  # what a kill at this moment leaves
        file.write(b"half")
        [half] = tmp_path.glob("*.part")
        os.link(half, half.with_name(half.name.replace(f"{os.getpid()}-", "4194305-")))
    other = write(tmp_path, 1, key=KEY[::-1])
    assert len(list(tmp_path.iterdir())) == 5
    checkpoints.remove(tmp_path, KEY)
    assert list(tmp_path.iterdir()) == [other]
    checkpoints.remove(tmp_path, KEY)
