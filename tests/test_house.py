"""The house: what may lie at the root, that imports run one way, and that no file grows beyond what one can read."""

import ast
import graphlib
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CORE = REPOSITORY / "kernbench"
FILES = sorted(CORE.rglob("*.py"))
MODULES = {".".join(f.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): f for f in FILES}
LONGEST = 350


def imported(file):
    """Modules of the core that a file imports when it runs, at any depth of its code."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES else node.module for name in names)


def room(module):
    """The folder of a module; where a folder holds folders, too, the module itself."""
    folder = MODULES[module].parent
    holds_folders = any((each / "__init__.py").exists() for each in folder.iterdir())
    return module if holds_folders else ".".join(folder.relative_to(REPOSITORY).parts)


def test_five_modules_lie_at_the_root():
    assert {f.name for f in CORE.glob("*.py")} == {
        *("__init__.py", "__main__.py", "errors.py", "hookspecs.py", "registry.py")
    }


def test_packages_import_each_other_in_one_direction():
    rooms = {}
    # the face of a package names what lies in it, for type checkers
    for module, file in MODULES.items():
        if file.name != "__init__.py":
            rooms.setdefault(room(module), set()).update(map(room, imported(file)))
    order = list(graphlib.TopologicalSorter({a: b - {a} for a, b in rooms.items()}).static_order())  # raises on a cycle
    assert order.index("kernbench.study") < order.index("kernbench.engine.fleet") < order.index("kernbench.cli.run")


def test_engine_and_store_know_nothing_of_the_task():
    word = re.compile("bubble|pressure|comb|decoder|ulm", re.IGNORECASE)
    found = [
        f"{file.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for folder in ("engine", "store")
        for file in (CORE / folder).rglob("*.py")
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if word.search(line)
    ]
    assert not found


def test_files_are_short_or_say_why():
    folders = [CORE, *(REPOSITORY / name for name in ("plugins", "tests", "benchmarks"))]
    long = {file: file.read_text(encoding="utf-8") for folder in folders for file in folder.rglob("*.py")}
    long = {file: text for file, text in long.items() if len(text.splitlines()) > LONGEST}
    reasons = {file.relative_to(REPOSITORY): ast.get_docstring(ast.parse(text)) or "" for file, text in long.items()}
    assert not [file for file, doc in reasons.items() if "long because" not in doc.lower()]
