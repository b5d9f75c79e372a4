"""One fault is one line; versions, extras and plugins that are missing or broken."""

import sys
from importlib.metadata import EntryPoint

import pytest

from kernbench import registry
from kernbench.doctor import packages
from kernbench.errors import KernbenchError


@pytest.fixture
def versions(monkeypatch):
    """Lets distributions have these versions, None: not installed."""
    usual = packages.version_of
    changed = {}
    monkeypatch.setattr(packages, "version_of", lambda name: changed.get(name, usual(name)))
    return changed


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("sick\nsecond line"), "ValueError: sick"),
        (KernbenchError("expected this, got that"), "expected this, got that"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_a_fault_inside_a_check_is_its_line_and_the_others_go_on(examined, monkeypatch, error, said):
    def raises():
        raise error

    monkeypatch.setattr("kernbench.doctor.packages._metadata", raises)
    found = examined("packages", "cache")
    assert [(name, each.status) for name, each in found.items()] == [
        *(("versions", "fail"), ("extras", "fail"), ("cache", "ok"), ("cache room", "ok"))
    ]
    assert found["versions"].found == said


def test_a_library_that_cannot_be_imported_is_a_line(examined, monkeypatch):
    monkeypatch.setitem(sys.modules, "kernbench.doctor.speed", None)
    found = examined("speed", "cache")
    assert found["speed"].status == "fail"
    assert "ModuleNotFoundError" in found["speed"].found
    assert found["cache"].status == "ok"


def test_versions_of_this_installation_fit(examined):
    found = examined("packages")["versions"]
    assert found.status == "ok"
    assert f"torch {registry.version_of('torch')}" in found.found


@pytest.mark.parametrize("version", ["1.0", None])
def test_a_version_that_does_not_fit_is_named_with_the_command(failed, versions, version):
    versions["optuna"] = version
    found, advice = failed("packages", check="versions")
    assert f"needs optuna<6,>=5.0.0, got {version or 'none'}" in found
    assert advice == 'pip install "optuna<6,>=5.0.0"'


def test_an_extra_that_is_missing_is_a_note_with_the_command(examined, versions):
    versions["h5py"] = None
    found = examined("packages")
    assert found["extra mat73"].status == "note"
    assert found["extra mat73"].advice == 'pip install "kernbench[mat73]"'
    assert "mat73" not in found["extras"].found
    assert "versions" in found
    assert found["versions"].status == "ok"


def test_every_extra_says_what_it_is_for():
    assert set(packages.EXTRAS) == set(packages._metadata().metadata.get_all("Provides-Extra"))


def test_a_plugin_that_cannot_be_loaded_is_a_line_with_its_reason(failed, monkeypatch, tmp_path):
    (tmp_path / "doctor_sick.py").write_text("raise ValueError('no\\nsecond line')")
    monkeypatch.syspath_prepend(tmp_path)
    usual = registry.entries_of
    sick = EntryPoint("sick", "doctor_sick", registry.GROUP)
    monkeypatch.setattr(registry, "entries_of", lambda group: [*usual(group), sick])
    monkeypatch.setenv("KERNBENCH_LOAD_PLUGINS", "discrete,sick")
    registry.installed.cache_clear()
    try:
        found, advice = failed("plugins", check="plugin sick")
    finally:
        registry.installed.cache_clear()
    assert found == "cannot be loaded: ValueError: no (unknown)"
    assert "pip uninstall" in advice


def test_a_package_of_studies_that_cannot_be_read_is_a_line(failed, monkeypatch):
    from kernbench.study import offered

    monkeypatch.setattr(offered, "entries_of", lambda group: [EntryPoint("x", "no_such_package", group)])
    found, _ = failed("plugins", check="studies no_such_package")
    assert "ModuleNotFoundError" in found
