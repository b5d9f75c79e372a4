"""What Python shows of the public packages, `dir()` and `help()`, is what is public, and says how to use it."""

import dataclasses
import importlib
import inspect
import pkgutil
import pydoc
import re
import rlcompleter

import pytest

import kernbench

# Packages that have public names; each is an attribute of the one above it after a plain `import kernbench`.
PUBLIC = (
    "kernbench",
    "kernbench.conv",
    "kernbench.kernels",
    "kernbench.networks",
    "kernbench.statistics",
    "kernbench.ulm",
    "kernbench.ulm.srml1d",
)


def _is_dunder(name):
    return name.startswith("__") and name.endswith("__")


def _functions():
    """Name -> function: public functions, and public methods that public classes of ours define."""
    found = {}
    for package in map(importlib.import_module, PUBLIC):
        for name in package.__all__:
            each = getattr(package, name)
            where = f"{package.__name__}.{name}"
            if inspect.isfunction(each):
                found[where] = each
            elif inspect.isclass(each):
                ours = [base for base in each.__mro__ if base.__module__.startswith("kernbench.")]
                methods = {key: value for base in reversed(ours) for key, value in vars(base).items()}
                methods = {key: getattr(value, "__func__", value) for key, value in methods.items()}
                found |= {
                    f"{where}.{key}": value
                    for key, value in methods.items()
                    if not key.startswith("_") and inspect.isfunction(value)
                }
    return found


def _section(text, head):
    """Names that a section of a docstring in Google's style explains; None without one."""
    found = re.search(rf"^{head}:\n((?: +.*\n?|\n)+)", text, re.MULTILINE)
    return None if found is None else re.findall(r"^    \**(\w+):", found[1], re.MULTILINE)


@pytest.mark.parametrize("package", PUBLIC)
def test_dir_and_completion_show_what_is_public_and_no_more(package):
    module = importlib.import_module(package)
    for each in pkgutil.iter_modules(module.__path__, f"{package}."):
        if not each.name.endswith("__main__"):
            importlib.import_module(each.name)  # what is imported is an attribute, and must not be shown for it
    assert {name for name in dir(module) if not _is_dunder(name)} == set(module.__all__)
    assert len(set(module.__all__)) == len(module.__all__) > 0
    completer = rlcompleter.Completer({"module": module})
    offered = {name.partition(".")[2].rstrip("()") for name in completer.attr_matches("module.")}
    assert {name for name in offered if not _is_dunder(name)} == set(module.__all__)


@pytest.mark.parametrize("package", PUBLIC)
def test_help_lists_every_public_name(package):
    module = importlib.import_module(package)
    contents, _, text = (
        pydoc.render_doc(module, renderer=pydoc.plaintext).partition("PACKAGE CONTENTS")[2].partition("\n\n")
    )
    for name in module.__all__:
        if inspect.ismodule(getattr(module, name)):
            assert f"    {name} (package)" in contents.splitlines()
        else:
            assert re.search(rf"^    (?:class )?(?:.*\.)?{name}\b", text, re.MULTILINE), name


def test_public_packages_are_there_after_a_plain_import():
    for package in PUBLIC[1:]:
        found = kernbench
        for name in package.split(".")[1:]:
            assert name in found.__all__
            found = getattr(found, name)
        assert found is importlib.import_module(package)


def test_every_package_with_public_names_is_looked_at():
    names = [each.name for each in pkgutil.walk_packages(kernbench.__path__, "kernbench.") if each.ispkg]
    assert {name for name in names if getattr(importlib.import_module(name), "__all__", None)} == set(PUBLIC[1:])


@pytest.mark.parametrize("name", _functions())
def test_every_argument_and_result_is_explained(name):
    function = _functions()[name]
    text, signature = inspect.getdoc(function), inspect.signature(function)
    assert text, "no docstring"
    assert (_section(text, "Args") or []) == [each for each in signature.parameters if each != "self"]
    returns = signature.return_annotation not in (None, "None", inspect.Signature.empty)
    assert (_section(text, "Returns") is not None) == returns


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_and_field_is_explained(package):
    module = importlib.import_module(package)
    assert module.__doc__
    for name in module.__all__:
        each = getattr(module, name)
        text = inspect.getdoc(each)
        assert text, name
        if dataclasses.is_dataclass(each):
            assert _section(text, "Attributes") == [field.name for field in dataclasses.fields(each)], name
        for key, value in vars(each).items() if inspect.isclass(each) else ():
            assert key.startswith("_") or not isinstance(value, property) or value.__doc__, f"{name}.{key}"
