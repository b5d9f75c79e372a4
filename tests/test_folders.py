"""Whether a folder can be written is told before anything is computed."""

from pathlib import Path

import pytest

from kernbench.errors import DataError, StorageError
from kernbench.host.cache_folder import check_writable, nearest


def test_a_folder_that_can_be_made_passes_and_nothing_is_left(tmp_path):
    for folder in (tmp_path, tmp_path / "a" / "b"):
        check_writable(folder, DataError, "do otherwise")
    assert list(tmp_path.iterdir()) == []
    assert nearest(tmp_path / "a" / "b") == tmp_path


@pytest.mark.parametrize("kind", [DataError, StorageError])
def test_a_file_in_the_way_and_a_system_folder_are_refused_with_reason_and_advice(tmp_path, kind):
    (tmp_path / "file").write_text("")
    for folder, reason in ((tmp_path / "file" / "a", "is not a folder"), ("/proc/found", "/proc: ")):
        with pytest.raises(kind, match=f"cannot be written .*{reason}.*; do otherwise"):
            check_writable(Path(folder), kind, "do otherwise")
