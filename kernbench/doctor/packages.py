"""Versions of what kernbench stands on, against what it was declared to need; extras that are missing."""

import platform
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from kernbench.doctor.finding import Asked, Checks, Finding
from kernbench.kernels.bundled import BUNDLED_DISTRIBUTION
from kernbench.registry import version_of

SHOWN = ("kernbench", "torch", "numpy", "scipy", "optuna")
EXTRAS = {  # what each is for
    "analysis": "groups of kernels in `kernbench analyze kernels`",
    "dashboard": "`kernbench dashboard`, notes on trials",
    "mat73": "MATLAB v7.3 files",
    "onnx": "`kernbench data export-onnx`",
    "pandas": "data frames from kernbench.results",
    "postgres": "studies on a PostgreSQL server",
    "tuning": "the sampler cmaes",
}


def checks(_asked: Asked) -> Checks:
    """Versions and extras."""
    return {"versions": _versions, "extras": _extras}


def _versions() -> Iterator[Finding]:
    """Whether all that is always needed is there, in a version that fits."""
    shown = ", ".join(f"{name} {version_of(name) or 'not installed'}" for name in SHOWN)
    shown = f"{shown}, python {platform.python_version()}"
    about = _metadata()
    if about is None:
        advice = "install it with pip, so that versions and extras can be checked"
        yield Finding("versions", "note", f"{shown}; kernbench is run from its folder", advice)
        return
    unmet = [line for line in _needs(about) if _applies(line, "") and not _is_met(line)]
    python = about.metadata["Requires-Python"]
    if python and not SpecifierSet(python).contains(platform.python_version(), prereleases=True):
        yield Finding("versions", "fail", f"{shown}; kernbench needs python {python}", "use another Python")
    elif unmet:
        found = ", ".join(f"needs {line.name}{line.specifier}, got {version_of(line.name) or 'none'}" for line in unmet)
        advice = " ".join(["pip install", *(f'"{line.name}{line.specifier}"' for line in unmet)])
        yield Finding("versions", "fail", f"{shown}; {found}", advice)
    else:
        yield Finding("versions", "ok", shown)


def _extras() -> Iterator[Finding]:
    """One line for the extras that are there, one for each that is not."""
    about = _metadata()
    if about is None:
        return
    unmet = {
        extra: [line for line in _needs(about) if _applies(line, extra) and not _is_met(line)]
        for extra in sorted(about.metadata.get_all("Provides-Extra") or ())
    }
    there = [extra for extra, lines in unmet.items() if not lines]
    yield Finding("extras", "ok", f"installed: {', '.join(there) or 'none'}")
    for extra, lines in unmet.items():
        if lines:
            got = ", ".join(f"{line.name} {version_of(line.name) or 'is not installed'}" for line in lines)
            use = f", for {EXTRAS[extra]}" if extra in EXTRAS else ""
            yield Finding(f"extra {extra}", "note", f"{got}{use}", f'pip install "{BUNDLED_DISTRIBUTION}[{extra}]"')


def _metadata() -> Distribution | None:
    """What is known of the installed kernbench; None where it is run from its folder."""
    try:
        return distribution(BUNDLED_DISTRIBUTION)
    except PackageNotFoundError:
        return None


def _needs(about: Distribution) -> list[Requirement]:
    return [Requirement(line) for line in about.requires or ()]


def _applies(line: Requirement, extra: str) -> bool:
    """Whether a line counts with an extra; without one, "", whether it always does."""
    return line.marker is None or line.marker.evaluate({"extra": extra})


def _is_met(line: Requirement) -> bool:
    """Whether a distribution is there in a version that fits; a local build such as 2.13.0+cpu counts as 2.13.0."""
    found = version_of(line.name)
    return found is not None and line.specifier.contains(found, prereleases=True)
