"""The registry: families are found by name or file, and a broken plugin breaks nothing but itself."""

import sys
from importlib.metadata import EntryPoint, distribution

import pytest

import kernbench
from kernbench import registry
from kernbench.errors import PluginError
from kernbench.hookspecs import hookimpl
from kernbench.registry import find, find_family, find_network, installed

TEN_LINES = """
import torch, kernbench

class Exponential(kernbench.KernelModule):
    def __init__(self, spec, b=8.0):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(*spec.shape[:2], 1))
        self.log_b = torch.nn.Parameter(torch.tensor(float(b)).log())
    def forward(self, grid):
        return self.weight * torch.exp(-grid.lags.abs() / self.log_b.exp())

@kernbench.hookimpl
def kernbench_kernels():
    space = {"b": kernbench.Float(1.0, 64.0, log=True, default=8.0)}
    return [kernbench.KernelFamily(name, Exponential, space=space) for name in %s]
"""


@pytest.fixture(autouse=True)
def fresh():
    """What is installed is looked up anew before and after each test."""
    installed.cache_clear()
    yield
    installed.cache_clear()


@pytest.fixture
def plugin_file(tmp_path):
    """Writes a plugin file."""

    def write(text=TEN_LINES % '["mine"]', name="my_kernel.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def entries(monkeypatch, tmp_path):
    """Installs plugins, name -> module text (None: no module), as outside distributions would."""

    def install(**texts):
        for name, source in texts.items():
            monkeypatch.delitem(sys.modules, f"outside_{name}", raising=False)
            if source is not None:
                (tmp_path / f"outside_{name}.py").write_text(source, encoding="utf-8")
        found = [EntryPoint(name, f"outside_{name}", registry.GROUP) for name in texts]
        bundled = [e for e in distribution("kernbench").entry_points if e.group == registry.GROUP]
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delenv("KERNBENCH_LOAD_PLUGINS", raising=False)
        monkeypatch.setattr(registry, "entries_of", lambda group: [*bundled, *found])

    return install


def offers(*names):
    """A plugin that offers families of these names."""
    return (
        "import kernbench\n@kernbench.hookimpl\ndef kernbench_kernels():\n"
        f"    return [kernbench.KernelFamily(n, 'nowhere:Nothing') for n in {names!r}]\n"
    )


def networks(*names):
    """The part of a plugin that offers networks of these names."""
    return (
        "import kernbench\n@kernbench.hookimpl\ndef kernbench_networks():\n"
        f"    return [kernbench.Architecture(n, 2, 2, 3) for n in {names!r}]\n"
    )


def test_bundled_families_are_found_through_their_entry_points():
    found = find("siren")
    assert (found.family.name, found.plugin, found.distribution) == ("siren", "siren", "kernbench")
    assert found.label == f"kernbench {distribution('kernbench').version}"
    assert find_family("gaussian").name == "gaussian"  # three families of one plugin
    assert not installed().broken


def test_families_beside_one_are_those_installed_and_those_of_its_file(plugin_file):
    found = find(f"{plugin_file(TEN_LINES % ['mine', 'yours'])}:mine")
    assert registry.families_beside(found).keys() == {"mine", "yours", *installed().found}
    assert registry.families_beside(found)["mine"] == found.family
    assert registry.families_beside(find("siren")).keys() == installed().found.keys()


def test_an_unknown_name_offers_a_close_match_or_what_there_is():
    with pytest.raises(PluginError, match="did you mean 'siren'"):
        find("sirne")
    with pytest.raises(PluginError, match=r"installed: .*siren"):
        find("zzz")


@pytest.mark.parametrize(
    ("chosen", "names"),
    [("", set()), ("siren", {"siren"}), ("siren, discrete", {"siren", "discrete"}), ("no_such", set())],
)
def test_the_environment_chooses_plugins(monkeypatch, chosen, names):
    monkeypatch.setenv("KERNBENCH_LOAD_PLUGINS", chosen)
    assert set(installed().found) == names


def test_bundled_means_without_outside_plugins(monkeypatch, entries):
    entries(outside=offers("outside"))
    assert "outside" in installed().found
    installed.cache_clear()
    monkeypatch.setenv("KERNBENCH_LOAD_PLUGINS", "bundled")
    assert "outside" not in installed().found
    assert "siren" in installed().found


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise ValueError('bad\\nsecond line')", "ValueError: bad"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (None, "ModuleNotFoundError"),
        ("x = 1", "offers no hook"),
        (offers(), "returned no family"),
        ("import kernbench\n@kernbench.hookimpl\ndef kernbench_kernels():\n    return 5", "KernelFamily, got int"),
        ("import kernbench\n@kernbench.hookimpl\ndef kernbench_kernels():\n    return ['x']", "got list of str"),
        ("import kernbench\n@kernbench.hookimpl\ndef kernbench_kernels():\n    return {}['x']", "KeyError"),
        (
            "import kernbench\n@kernbench.hookimpl\ndef kernbench_kernel():\n    return []",
            "unknown hook 'kernbench_kernel'; did you mean 'kernbench_kernels'?",
        ),
        (
            "import kernbench\nspace = {\n'a': kernbench.Float(1, 2),\n'b': kernbench.Float(5, 1, doc='width')}",
            "kernbench.Float (width): low must be at most high, got low = 5, high = 1",
        ),
        (offers("bad name"), "family name"),
        (offers("../up"), "family name"),
        (offers("siren"), "already offered by plugin 'siren'"),
        (offers("fine") + networks("shallow"), "network 'shallow' is already offered"),
        (offers("fine") + networks("bad name"), "network name"),
    ],
)
def test_a_broken_plugin_is_kept_with_its_reason_and_the_others_go_on(entries, source, reason):
    entries(zz_broken=source, zz_good=offers("good"))
    catalogue = installed()
    assert [broken.plugin for broken in catalogue.broken] == ["zz_broken"]
    assert reason in catalogue.broken[0].reason
    assert "\n" not in catalogue.broken[0].reason
    assert {"siren", "discrete", "good"} <= set(catalogue.found)
    assert "fine" not in catalogue.found  # nothing of a broken plugin is used
    with pytest.raises(PluginError, match="cannot be loaded"):
        find("zz_broken")
    assert find("siren")


def test_kernbench_networks_of_a_plugin_stand_beside_its_families_or_alone(entries, monkeypatch):
    entries(both=offers("mine") + networks("near"), alone=networks("far"))
    origins = {name: each.plugin for name, each in installed().networks.items()}
    assert list(origins)[:2] == ["dilated", "shallow"]  # those of kernbench itself
    assert [name for name, plugin in origins.items() if plugin in ("both", "alone")] == ["far", "near"]
    assert (find_network("near").plugin, find("mine").plugin, find_network("far").source) == ("both", "both", "far")
    installed.cache_clear()
    monkeypatch.setenv("KERNBENCH_LOAD_PLUGINS", "")
    assert list(installed().networks) == ["dilated", "shallow"]


def test_a_family_of_a_broken_plugin_is_explained(entries):
    entries(broken="raise ValueError('no')")
    with pytest.raises(PluginError, match="plugin 'broken' is broken: ValueError: no"):
        find("something_else")


def test_a_file_offers_its_family_with_or_without_its_name(plugin_file):
    path = plugin_file()
    for name in (f"{path}:mine", str(path)):
        found = find(name)
        assert (found.family.name, found.distribution) == ("mine", "file")
        assert len(found.version) == 12
    kernel = found.family.build(kernbench.KernelSpec(2, 3, kernel_size=5))
    assert kernel(kernel.spec.grid()).shape == (2, 3, 5)


def test_the_version_of_a_file_is_its_content(plugin_file):
    path = plugin_file()
    old = find(str(path)).version
    assert find(str(path)).version == old
    path.write_text(path.read_text() + "\n# changed\n")
    assert find(str(path)).version != old


def test_a_folder_whose_name_holds_py_is_no_trouble(plugin_file):
    path = plugin_file(name="my.python/kernels.pytorch/my_kernel.py")
    assert find(f"{path}:mine").family.name == "mine"


def test_a_relative_path_works_from_the_working_folder(plugin_file, monkeypatch):
    monkeypatch.chdir(plugin_file().parent)
    assert find("./my_kernel.py:mine").family.name == find("my_kernel.py:mine").family.name == "mine"


def test_kernbench_kernels_of_a_file_with_two_families_need_a_name(plugin_file):
    path = plugin_file(TEN_LINES % '["one", "two"]')
    assert find(f"{path}:two").family.name == "two"
    with pytest.raises(PluginError, match=rf"{path} offers one, two; name one of them, such as {path}:one$"):
        find(str(path))
    with pytest.raises(PluginError, match="has no family 'tow'; did you mean 'two'"):
        find(f"{path}:tow")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise ValueError('bad\\nsecond')", "ValueError: bad"),
        ("import no_such_module", "ModuleNotFoundError"),
        ("def broken(:", "SyntaxError"),
        ("import sys; sys.exit(1)", "SystemExit"),
        ("x = 1", "cannot be loaded: offers no hook"),
        ("\0", ""),
        ("import kernbench\n\n\nspace = {'b': kernbench.Float(5, 1)}", "low = 5, high = 1 (my_kernel.py:4)"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_one_line_with_its_path(plugin_file, text, reason):
    path = plugin_file(text)
    with pytest.raises(PluginError) as error:
        find(f"{path}:mine")
    assert str(path) in str(error.value)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_or_a_folder_is_refused(tmp_path):
    (tmp_path / "folder.py").mkdir()
    for name in ("missing.py", "folder.py"):
        with pytest.raises(PluginError, match="does not exist"):
            find(f"{tmp_path / name}:mine")


def test_a_file_must_not_take_the_name_of_an_installed_family(plugin_file):
    # both would be stored under the same name, and one taken for the other
    path = plugin_file(TEN_LINES % '["siren"]')
    with pytest.raises(PluginError, match=r"'siren' .*installed"):
        find(f"{path}:siren")


@pytest.mark.parametrize("package", [kernbench, kernbench.conv, kernbench.kernels, kernbench.networks, kernbench.ulm])
def test_public_names_load_on_demand_and_unknown_ones_are_refused(package):
    for name in dir(package):
        found = package.__getattr__(name)  # as after a plain import
        assert found is hookimpl or found.__name__.rpartition(".")[2] == name
    with pytest.raises(AttributeError, match="no attribute 'KernelModul'"):
        _ = package.KernelModul
