"""Finds what plugins offer, installed or in local files, and keeps a broken plugin from breaking the others."""

import importlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

import kernbench
from kernbench import hookspecs
from kernbench.errors import PLUGIN_FILE_MODULE, KernbenchError, PluginError, close_match, first_line
from kernbench.host.entry_points import entries_of
from kernbench.host.process_state import importing
from kernbench.host.user_module import file_digest, import_file
from kernbench.kernels.bundled import BUNDLED_DISTRIBUTION

if TYPE_CHECKING:
    from kernbench.kernels.family import KernelFamily
    from kernbench.networks.architecture import Architecture

GROUP = "kernbench"
# What the core offers by the hooks itself, whatever KERNBENCH_LOAD_PLUGINS says: published weights need it.
CORE = "kernbench.networks.bundled"
FILE = "file"  # in the place of a distribution's name
KERNELS, NETWORKS = "kernbench_kernels", "kernbench_networks"
# Hook -> public class of what it returns, and what one is called in messages.
_OFFERED = {KERNELS: ("KernelFamily", "family"), NETWORKS: ("Architecture", "network")}
_EXAMINED = "; see `kernbench doctor`"  # the end of an error about a broken plugin

_Offer = Mapping[str, Mapping[str, Any]]  # hook -> name -> a family or an architecture


class _Labelled:
    """What comes from a plugin."""

    distribution: str
    version: str

    @property
    def label(self) -> str:
        """Distribution and version, as stored with each run."""
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class Found(_Labelled):
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


@dataclass(frozen=True)
class FoundNetwork(_Labelled):
    """A network and where it comes from; `plugin`, `distribution` and `version` as in `Found`."""

    architecture: "Architecture"
    plugin: str
    distribution: str
    version: str

    @property
    def name(self) -> str:
        """As in definitions and cells: the name, and for a local file `name@DIGEST`, never its path."""
        own = self.architecture.name
        return f"{own}@{self.version}" if self.distribution == FILE else own

    @property
    def source(self) -> str:
        """What a user types to name it: the name, or FILE.py:NAME."""
        own = self.architecture.name
        return f"{self.plugin}:{own}" if self.distribution == FILE else own


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be loaded, and the first line of the reason."""

    plugin: str
    distribution: str
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """All that installed plugins offer, by name: families and networks; and the plugins that could not be loaded."""

    found: dict[str, Found] = field(default_factory=dict)
    networks: dict[str, FoundNetwork] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)


# Networks of the files that this process has been given, by the name that they have in definitions.
_LOCAL_NETWORKS: dict[str, FoundNetwork] = {}


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
        return Found(*_find_in_file(name, KERNELS, installed().found))
    catalogue = installed()
    if name in catalogue.found:
        return catalogue.found[name]
    raise _nothing_called(name, "kernel family", catalogue.found, "FAMILY")


def families_beside(found: Found) -> dict[str, "KernelFamily"]:
    """All families that can be named beside one: those installed and, of a local file, those that it offers."""
    known = {name: each.family for name, each in installed().found.items()}
    return {**known, **(_offered_by(Path(found.plugin)).get(KERNELS, {}) if found.distribution == FILE else {})}


def find_network(name: str) -> FoundNetwork:
    """Find a network by installed name, by file, or by the name that a file's network has in definitions.

    Args:
        name: an installed network such as "shallow"; a local file "./my_network.py:mine", without ":mine" one that
            offers exactly one network; or "mine@DIGEST" of a file that this process has found before.

    Raises:
        PluginError: nothing of that name, with a close match; its plugin is broken; or its file has not been named.
    """
    if ".py" in name:
        found = FoundNetwork(*_find_in_file(name, NETWORKS, installed().networks))
        _LOCAL_NETWORKS[found.name] = found
        return found
    catalogue = installed()
    if known := catalogue.networks.get(name) or _LOCAL_NETWORKS.get(name):
        return known
    own, at, digest = name.partition("@")
    if at:
        edited = [each for each in _LOCAL_NETWORKS.values() if each.architecture.name == own]
        other = f", and {edited[-1].plugin} is now {edited[-1].version}" if edited else ""
        raise PluginError(
            f"network {own!r} is of a local file, as it was at digest {digest}{other}; give that file: "
            f"--network FILE.py:{own}"
        )
    raise _nothing_called(name, "network", catalogue.networks, "NETWORK")


@cache
def core_networks() -> tuple[str, ...]:
    """Names of the networks that kernbench itself offers."""
    return tuple(name for name, found in installed().networks.items() if found.plugin == CORE)


@cache
def installed() -> Catalogue:
    """What all installed plugins offer, limited by KERNBENCH_LOAD_PLUGINS, beside what the core offers.

    The variable takes entry-point names separated by commas, `bundled`, or nothing (no plugin at all); unset, every
    installed plugin is loaded.
    """
    catalogue = Catalogue()
    own = version_of(BUNDLED_DISTRIBUTION) or "unknown"
    _add(catalogue, _offer(importlib.import_module(CORE), CORE, CORE), CORE, BUNDLED_DISTRIBUTION, own)
    for entry in _chosen(sorted(entries_of(GROUP))):
        distribution, its = (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "unknown")
        try:
            with importing(f"{entry.name}@{its}"):
                offer = _offer(entry.load(), f"{distribution}:{entry.name}", entry.name)
            _add(catalogue, offer, entry.name, distribution, its)
        except (Exception, SystemExit) as error:  # whatever a plugin does at import, the others go on
            catalogue.broken.append(Broken(entry.name, distribution, _reason(error)))
    return catalogue


@cache
def _manager() -> pluggy.PluginManager:
    """The one manager, of all hooks and all plugins."""
    manager = pluggy.PluginManager("kernbench")
    manager.add_hookspecs(hookspecs)
    return manager


def version_of(distribution: str) -> str | None:
    """Version of an installed distribution; None without one, as when kernbench is run from its folder."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _chosen(entries: list[EntryPoint]) -> list[EntryPoint]:
    wanted = os.environ.get("KERNBENCH_LOAD_PLUGINS")
    if wanted is None:
        return entries
    names = {name.strip() for name in wanted.split(",")}
    also = BUNDLED_DISTRIBUTION if "bundled" in names else ""
    return [entry for entry in entries if entry.name in names or (entry.dist and entry.dist.name == also)]


def _add(catalogue: Catalogue, offer: _Offer, plugin: str, distribution: str, its_version: str) -> None:
    """Take in all that a plugin offers, or nothing: PluginError where a name is taken."""
    for hook, known in ((KERNELS, catalogue.found), (NETWORKS, catalogue.networks)):
        for name in offer.get(hook, {}):
            if old := known.get(name):
                kind = _OFFERED[hook][1]
                raise PluginError(f"{kind} {name!r} is already offered by plugin {old.plugin!r}; rename one")
    origin = plugin, distribution, its_version
    catalogue.found.update({name: Found(each, *origin) for name, each in offer.get(KERNELS, {}).items()})
    catalogue.networks.update({name: FoundNetwork(each, *origin) for name, each in offer.get(NETWORKS, {}).items()})


def _offer(module: object, registered: str, plugin: str) -> _Offer:
    """What a plugin offers by each hook; it stays registered under `registered` unless it is broken."""
    manager = _manager()
    if manager.has_plugin(registered):
        manager.unregister(name=registered)
    try:
        manager.register(module, name=registered)
        _check_hooks(manager, module)
        hooks = [caller.name for caller in manager.get_hookcallers(module) or [] if caller.name in _OFFERED]
        if not hooks:
            raise PluginError(
                f"offers no hook; expected a function {KERNELS} or {NETWORKS} marked with @kernbench.hookimpl"
            )
        others = [each for each in manager.get_plugins() if each is not module]
        return {hook: _named(manager.subset_hook_caller(hook, others), hook, plugin) for hook in hooks}
    except BaseException:
        if manager.has_plugin(registered):
            manager.unregister(name=registered)
        raise


def _check_hooks(manager: pluggy.PluginManager, module: object) -> None:
    """Refuse a function that is marked as a hook and is none."""
    known = vars(hookspecs)
    for name in vars(module) if isinstance(module, ModuleType) else ():
        if manager.parse_hookimpl_opts(module, name) is not None and name not in known:
            raise PluginError(f"unknown hook {name!r}{close_match(name, _OFFERED)}")
    manager.check_pending()


def _named(caller: Callable[[], list[object]], hook: str, plugin: str) -> Mapping[str, Any]:
    """What one plugin returns for a hook, by name."""
    class_name, kind = _OFFERED[hook]
    wanted = getattr(kernbench, class_name)
    named: dict[str, Any] = {}
    for offered in caller():
        items: Sequence[Any] = offered if isinstance(offered, list | tuple) else [offered]
        wrong = [type(item).__name__ for item in items if not isinstance(item, wanted)]
        if wrong or items is not offered:
            got = f"{type(offered).__name__}" + (f" of {wrong[0]}" if items is offered else "")
            raise PluginError(f"{hook}() of plugin {plugin!r} must return a list of kernbench.{class_name}, got {got}")
        for item in items:
            if item.name in named:
                raise PluginError(f"{hook}() returned {kind} {item.name!r} twice; rename one")
            named[item.name] = item
    if not named:
        raise PluginError(f"{hook}() returned no {kind}")
    return named


def _nothing_called(name: str, kind: str, known: Collection[str], in_file: str) -> PluginError:
    """The error for a name that nothing has, with the nearest one, and what broken plugins might have offered."""
    broken = installed().broken
    for each in broken:
        if name in (each.plugin, each.plugin.removeprefix("kernbench_")):
            return PluginError(f"plugin {name!r} ({each.distribution}) cannot be loaded: {each.reason}{_EXAMINED}")
    there = f"; installed: {', '.join(sorted(known)) or 'none'}; for one in a file give ./FILE.py:{in_file}"
    also = "".join(f"; plugin {each.plugin!r} is broken: {each.reason}" for each in broken) + _EXAMINED * bool(broken)
    return PluginError(f"no {kind} {name!r}{close_match(name, known) or there}{also}")


def _reason(error: BaseException) -> str:
    """Why a plugin cannot be loaded; what kernbench itself says needs no name of a class before it."""
    if isinstance(error, PluginError):
        return str(error)
    return first_line(error).removeprefix(f"{KernbenchError.__name__}: ")


def _find_in_file(name: str, hook: str, taken: Mapping[str, Any]) -> tuple[Any, str, str, str]:
    """What a file offers under a name, and its origin: path, "file" and digest."""
    kind = _OFFERED[hook][1]
    path_text, _, wanted = name.rpartition(".py")
    path = Path(path_text + ".py")
    wanted = wanted.removeprefix(":")
    if not path.is_file():
        raise PluginError(f"plugin file {path} does not exist; expected FILE.py:{kind.upper()}")
    offer = _offered_by(path)
    offered = offer.get(hook, {})
    if not offered:
        others = ", ".join(f"{_OFFERED[each][1]} {own}" for each, names in offer.items() for own in sorted(names))
        raise PluginError(f"plugin file {path} offers no {kind}, only {others}; it needs a function {hook}")
    if not wanted and len(offered) == 1:
        wanted = next(iter(offered))
    if not wanted:
        names = ", ".join(sorted(offered))
        raise PluginError(f"plugin file {path} offers {names}; name one of them, such as {path}:{min(offered)}")
    if wanted not in offered:
        raise PluginError(
            f"plugin file {path} has no {kind} {wanted!r}{close_match(wanted, offered)} "
            f"(it offers {', '.join(sorted(offered))}); use {path}:{sorted(offered)[0]}"
        )
    if wanted in taken:  # both would be stored under the same name
        raise PluginError(
            f"{kind} {wanted!r} of {path} has the name of an installed one (plugin {taken[wanted].plugin!r}); rename it"
        )
    return offered[wanted], str(path), FILE, file_digest(path)


def _offered_by(path: Path) -> _Offer:
    """All that a file offers."""
    try:
        with importing(f"{path}@{file_digest(path)}"):
            return _offer(_import_file(path), str(path.resolve()), str(path))
    except (Exception, SystemExit) as error:
        raise PluginError(f"plugin file {path} cannot be loaded: {_reason(error)}") from error


def _import_file(path: Path) -> ModuleType:
    """The module of a file; the same one as long as neither path nor content has changed."""
    resolved = path.resolve()
    module_name = f"{PLUGIN_FILE_MODULE}{file_digest(path)}"
    registered = _manager().get_plugin(str(resolved))
    if isinstance(registered, ModuleType) and registered.__name__ == module_name:
        return registered
    return import_file(resolved, module_name)
