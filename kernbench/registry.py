"""Finds kernel families in installed plugins and in local files, and keeps a broken plugin from breaking the others."""

import importlib.util
import os
import sys
from dataclasses import dataclass
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

from kernbench import hookspecs
from kernbench.errors import PLUGIN_FILE_MODULE, PluginError, close_match, first_line

if TYPE_CHECKING:
    from kernbench.kernels.family import KernelFamily

GROUP = "kernbench"
BUNDLED_DISTRIBUTION = "kernbench"


@dataclass(frozen=True)
class Found:
    """A kernel family and where it comes from.

    Attributes:
        family: the family.
        plugin: entry-point name or file path.
        distribution: distribution that installs the plugin, "file" for a local file.
        version: version of the distribution; for a file, the first 12 hex digits of its SHA-256.
    """

    family: "KernelFamily"
    plugin: str
    distribution: str
    version: str

    @property
    def label(self) -> str:
        """Distribution and version, as stored with each run."""
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be loaded, and the first line of the reason."""

    plugin: str
    distribution: str
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """All families that can be used now, by name, and the plugins that could not be loaded."""

    found: dict[str, Found]
    broken: tuple[Broken, ...]


def find_family(name: str) -> "KernelFamily":
    """The kernel family of that name; see `find`."""
    return find(name).family


def find(name: str) -> Found:
    """Find a kernel family by installed name or by file.

    Args:
        name: an installed family such as "siren", or a local file "./my_kernel.py:mine"; without ":mine" the
            file must offer exactly one family.

    Returns:
        The family and its origin.

    Raises:
        PluginError: nothing of that name, with a close match; or its plugin is broken, with the reason.
    """
    if ".py" in name:
        return _find_in_file(name)
    catalogue = installed()
    if name in catalogue.found:
        return catalogue.found[name]
    for broken in catalogue.broken:
        if name in (broken.plugin, broken.plugin.removeprefix("kernbench_")):
            raise PluginError(f"plugin {name!r} ({broken.distribution}) cannot be loaded: {broken.reason}")
    there = f"; installed: {', '.join(sorted(catalogue.found)) or 'none'}; for one in a file give ./FILE.py:FAMILY"
    hint = close_match(name, catalogue.found) or there
    also = "".join(f"; plugin {b.plugin!r} is broken: {b.reason}" for b in catalogue.broken)
    raise PluginError(f"no kernel family {name!r}{hint}{also}")


@cache
def installed() -> Catalogue:
    """Families of all installed plugins, limited by KERNBENCH_LOAD_PLUGINS.

    The variable takes entry-point names separated by commas, `bundled`, or nothing (no plugin at all); unset, every
    installed plugin is loaded.
    """
    found: dict[str, Found] = {}
    broken: list[Broken] = []
    for entry in _chosen(sorted(entry_points(group=GROUP))):
        distribution = entry.dist.name if entry.dist else "unknown"
        try:
            for family in _families(entry.load(), entry.name):
                _add(
                    found,
                    Found(family, entry.name, distribution, entry.dist.version if entry.dist else "unknown"),
                )
        except (Exception, SystemExit) as error:  # whatever a plugin does at import, the others go on
            broken.append(Broken(entry.name, distribution, _reason(error)))
    return Catalogue(found, tuple(broken))


def _chosen(entries: list[EntryPoint]) -> list[EntryPoint]:
    wanted = os.environ.get("KERNBENCH_LOAD_PLUGINS")
    if wanted is None:
        return entries
    names = {name.strip() for name in wanted.split(",")}
    return [
        entry
        for entry in entries
        if entry.name in names
        or ("bundled" in names and entry.dist is not None and entry.dist.name == BUNDLED_DISTRIBUTION)
    ]


def _add(found: dict[str, Found], new: Found) -> None:
    old = found.get(new.family.name)
    if old is not None:
        raise PluginError(f"family {new.family.name!r} is already offered by plugin {old.plugin!r}; rename one")
    found[new.family.name] = new


def _families(module: object, plugin: str) -> "list[KernelFamily]":
    manager = pluggy.PluginManager("kernbench")
    manager.add_hookspecs(hookspecs)
    manager.register(module, name=plugin)
    manager.check_pending()
    if not manager.get_hookcallers(module):
        raise PluginError("offers no hook; expected a function kernbench_kernels marked with @kernbench.hookimpl")
    families = [family for offered in manager.hook.kernbench_kernels() for family in _as_list(offered, plugin)]
    if not families:
        raise PluginError("kernbench_kernels() returned no family")
    return families


def _as_list(offered: object, plugin: str) -> "list[KernelFamily]":
    from kernbench.kernels.family import KernelFamily  # noqa: PLC0415  # light, but only needed with plugins

    items = offered if isinstance(offered, list | tuple) else [offered]
    wrong = [type(item).__name__ for item in items if not isinstance(item, KernelFamily)]
    if wrong or items is not offered:
        got = f"{type(offered).__name__}" + (f" of {wrong[0]}" if items is offered else "")
        raise PluginError(
            f"kernbench_kernels() of plugin {plugin!r} must return a list of kernbench.KernelFamily, got {got}"
        )
    return list(items)


def _reason(error: BaseException) -> str:
    """Why a plugin cannot be loaded; what kernbench itself says needs no name of a class before it."""
    return str(error) if isinstance(error, PluginError) else first_line(error)


def _find_in_file(name: str) -> Found:
    path_text, _, wanted = name.rpartition(".py")
    path = Path(path_text + ".py")
    wanted = wanted.removeprefix(":")
    if not path.is_file():
        raise PluginError(f"plugin file {path} does not exist; expected FILE.py:FAMILY")
    try:
        offered = {family.name: family for family in _families(_import_file(path), str(path))}
    except (Exception, SystemExit) as error:
        raise PluginError(f"plugin file {path} cannot be loaded: {_reason(error)}") from error
    if not wanted and len(offered) == 1:
        wanted = next(iter(offered))
    if wanted not in offered:
        raise PluginError(
            f"plugin file {path} has no family {wanted!r}{close_match(wanted, offered)} "
            f"(it offers {', '.join(sorted(offered))}); use {path}:{sorted(offered)[0]}"
        )
    if wanted in installed().found:  # both would be stored under the same name
        raise PluginError(
            f"family {wanted!r} of {path} has the name of an installed one "
            f"(plugin {installed().found[wanted].plugin!r}); rename it"
        )
    return Found(offered[wanted], str(path), "file", _file_digest(path))


class _LeavesNothing(SourceFileLoader):
    """Imports a user's file without a __pycache__ beside it."""

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:  # Any: whatever holds bytes
        """Keep nothing."""


def _import_file(path: Path) -> ModuleType:
    resolved = path.resolve()
    module_name = f"{PLUGIN_FILE_MODULE}{_file_digest(path)}"
    loader = _LeavesNothing(module_name, str(resolved))
    spec = importlib.util.spec_from_file_location(module_name, resolved, loader=loader)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses and torch look their module up there
    spec.loader.exec_module(module)
    return module


def _file_digest(path: Path) -> str:
    from kernbench.host.files import sha256_of_file  # noqa: PLC0415  # a list of plugins needs no hashes

    return sha256_of_file(path, 12)
