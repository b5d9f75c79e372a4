"""Plugins and packages of studies that cannot be loaded."""

import os
from collections.abc import Iterator

from kernbench.doctor.finding import Asked, Checks, Finding
from kernbench.errors import counted
from kernbench.registry import CORE, installed
from kernbench.study.offered import offered_studies


def checks(_asked: Asked) -> Checks:
    """Plugins and studies: one line for what works, one for each package that does not."""
    return {"plugins": _plugins, "studies": _studies}


def _plugins() -> Iterator[Finding]:
    catalogue = installed()
    families, networks = catalogue.found.values(), catalogue.networks.values()
    plugins = ({each.plugin for each in families} | {each.plugin for each in networks}) - {CORE}
    chosen = os.environ.get("KERNBENCH_LOAD_PLUGINS")
    limit = "" if chosen is None else f", limited by KERNBENCH_LOAD_PLUGINS={chosen}"
    found = f"{len(families)} families of {counted(len(plugins), 'plugin')}, {counted(len(networks), 'network')}"
    yield Finding("plugins", "ok", f"{found}{limit}")
    for each in catalogue.broken:
        advice = f"install {each.distribution} again, or pip uninstall it; the other plugins work"
        found = f"cannot be loaded: {each.reason} ({each.distribution})"
        yield Finding(f"plugin {each.plugin}", "fail", found, advice)


def _studies() -> Iterator[Finding]:
    offered = offered_studies()
    yield Finding("studies", "ok", f"{len(offered.files)} offered by installed packages")
    for package, reason in offered.broken.items():
        advice = "install its package again; the other studies work"
        yield Finding(f"studies {package}", "fail", f"cannot be read: {reason}", advice)
    for study, reason in offered.refused.items():
        yield Finding(f"study {study}", "note", reason)
