"""Fixtures: the doctor on some groups of checks only."""

import pytest

from kernbench.doctor import examining
from kernbench.doctor.finding import Asked


@pytest.fixture
def examined(monkeypatch, tmp_path):
    """Examines some groups; name of a check -> its finding."""

    def look(*groups, device="cpu", storage=None):
        monkeypatch.setattr(examining, "GROUPS", groups)
        findings = list(examining.examine(Asked(device, storage or f"sqlite:///{tmp_path}/kernbench.db")))
        names = [each.check for each in findings]
        assert len(names) == len(set(names)), names
        assert all("\n" not in each.found + each.advice for each in findings)
        assert all(each.advice for each in findings if each.status in ("fail", "note")), findings
        return {each.check: each for each in findings}

    return look


@pytest.fixture
def failed(examined):
    """The same where exactly one check must fail: its found and advice."""

    def look(*groups, check, **asked):
        findings = examined(*groups, **asked)
        assert [name for name, each in findings.items() if each.status == "fail"] == [check], findings
        return findings[check].found, findings[check].advice

    return look
