"""Everything about one accelerator in at most nine minutes: tables and a page section for it.

    python benchmarks/accelerator.py --device cuda --out accelerator-results

Parts run in the order of `PARTS`, each in processes of its own with a time limit. What a part has measured is written
before the next one begins, so that it counts even if the next one fails or does not come. FOLDER/accelerator.md is the
page section, FOLDER/*.csv are its tables with all digits, FOLDER/logs has what each command printed. `--tiny` runs
every part at a size that means nothing, on any machine.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from accelerator_parts import PARTS, Commands, FailedError, SkippedError

from kernbench.bench.table import BenchTable, as_markdown, write_csv

PAGE = "accelerator.md"
MINUTES = 9.0
_PROBE = """
import json, sys
from kernbench.engine.work.environment import environment
from kernbench.host.device import choose_device
print(json.dumps(environment(choose_device(sys.argv[1]))))
"""


class Page:
    """The page section, written again whenever it has grown."""

    def __init__(self, folder: Path, machine: dict[str, object], tiny: bool) -> None:
        self._folder, self._head = folder, _head(machine, tiny)
        self._parts: dict[str, dict[str, str]] = {}

    def add(self, part: str, table: BenchTable) -> None:
        """Keep a table; one of the same name takes its place."""
        write_csv(table, self._folder)
        self._parts.setdefault(part, {})[table.name] = as_markdown(table)
        self._write()

    def say(self, part: str, line: str) -> None:
        """Keep a line about a part."""
        self._parts.setdefault(part, {})[line] = line
        self._write()

    def _write(self) -> None:
        sections = ["\n\n".join([f"### {part}", *texts.values()]) for part, texts in self._parts.items()]
        (self._folder / PAGE).write_text("\n\n".join([self._head, *sections]) + "\n", encoding="utf-8")


def _head(machine: dict[str, object], tiny: bool) -> str:
    packages = machine["packages"]
    assert isinstance(packages, dict)
    card = machine["gpu"] or f"no GPU: {machine['cpu']}, {machine['threads']} of {machine['cores']} cores"
    facts = [
        f"Driver: {machine.get('driver') or 'none'}.",
        f"CUDA {machine['cuda'] or 'none'}, PyTorch {packages['torch']}, Python {machine['python']}.",
        f"kernbench {packages['kernbench']}, commit {machine['git'] or 'unknown'}.",
        "Made by `python benchmarks/accelerator.py`.",
    ]
    if tiny:
        facts.append("**A run with `--tiny`: it shows that every part works; its numbers mean nothing.**")
    return "\n\n".join([f"## {card}", "\n".join(facts)])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cpu or cuda[:i]  [cuda]")
    parser.add_argument("--out", type=Path, default=Path("accelerator-results"), help="a new or empty folder")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"for all parts together  [{MINUTES:g}]")
    parser.add_argument("--patience", type=float, default=1.0, help="times all limits, for a slow or busy machine  [1]")
    parser.add_argument("--only", default="", help=f"comma-separated parts of {', '.join(PARTS)}  [all]")
    parser.add_argument("--tiny", action="store_true", help="sizes that mean nothing")
    options = parser.parse_args()
    names = [name.strip() for name in options.only.split(",") if name.strip()]
    if wrong := [name for name in names if name not in PARTS]:
        parser.error(f"--only: expected parts of {', '.join(PARTS)}, got {wrong[0]!r}")
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        parser.error(f"--out: expected a new or empty folder, {options.out} is not; name another one")
    options.only = names or list(PARTS)
    return options


def main() -> int:
    """Run the parts; 0 if each of them gave its tables or was skipped, else 1."""
    options = _options()
    end = time.monotonic() + 60 * options.minutes * options.patience
    folder = options.out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    commands = Commands(folder, options.device, options.tiny, end, options.patience)
    try:
        probe = commands.run("machine", [sys.executable, "-c", _PROBE, options.device], 60)
        machine = json.loads(probe.out.splitlines()[-1])
    except FailedError as error:
        print(f"accelerator: {error}", file=sys.stderr)
        return 2
    page, failed = Page(folder, machine, options.tiny), []
    for name in options.only:
        print(f"{name} ...", flush=True)
        started = time.monotonic()
        try:
            if time.monotonic() >= end:
                raise FailedError(f"not run: the {options.minutes:g} minutes were over")
            for table in PARTS[name](commands):
                page.add(name, table)
        except SkippedError as reason:
            page.say(name, f"Skipped: {reason}.")
        except Exception as error:  # whatever it is, the parts after it still count
            failed.append(name)
            page.say(name, f"Failed: {error}.")
        print(f"{name}: {time.monotonic() - started:.1f} s", flush=True)
    print(f"page: {folder / PAGE}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
