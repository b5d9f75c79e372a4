"""Fixtures of the whole suite: one thread, bundled plugins only, nothing written outside tmp_path."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("KERNBENCH_LOAD_PLUGINS", "bundled")
os.environ.setdefault("MPLBACKEND", "agg")

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Each test has its own cache folder and default storage."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("KERNBENCH_CACHE", str(folder))
    monkeypatch.delenv("KERNBENCH_STORAGE", raising=False)
    return folder


@pytest.fixture(scope="session")
def reference():
    """Folder of the outside reference data; tests that need it skip where it is absent."""
    folder = REPOSITORY.parent / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip("outside reference data (../shared/reference) is not here")
    return folder
