"""`kernbench doctor`: what of this machine works, and what to do about the rest."""

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from kernbench.cli.options import device_option, storage_option
from kernbench.errors import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernbench.doctor.finding import Finding

_WIDTH = 21  # of the longest name of a check, but for those of plugins


@click.command()
@device_option
@storage_option
@click.option("--json", "as_json", is_flag=True, help="A JSON list of {check, status, found, advice}.")
def doctor_command(device: str, storage: str | None, as_json: bool) -> int:
    """Examine this machine, one line a check, with what to do where it fails: exit code 1 if one does.

    Versions and extras, plugins, the numbers, repeatability and speed of the device, the cache folder, the storage
    with its locks. A note is no failure. It takes less than half a minute and leaves nothing behind.
    """
    from kernbench.doctor.examining import examine
    from kernbench.doctor.finding import Asked
    from kernbench.host.device_name import check_device_name
    from kernbench.store.database.url import resolve_url

    check_device_name(device)
    findings = []
    for finding in examine(Asked(device, resolve_url(storage))):
        findings.append(finding)
        if not as_json:
            click.echo(_line(finding))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(each) for each in findings], indent=1, ensure_ascii=False))
    failed = [each.check for each in findings if each.status == "fail"]
    if not as_json:
        click.echo(_summary(findings, failed), err=bool(failed))
    return 1 if failed else 0


def _line(finding: "Finding") -> str:
    status = "FAIL" if finding.status == "fail" else finding.status
    advice = f"; {finding.advice}" if finding.advice else ""
    return f"{status:4}  {finding.check:{_WIDTH}}  {finding.found}{advice}"


def _summary(findings: "Sequence[Finding]", failed: "Sequence[str]") -> str:
    if failed:
        return f"doctor: {len(failed)} of {counted(len(findings), 'check')} failed: {', '.join(failed)}"
    others = {name: sum(each.status == name for each in findings) for name in ("note", "skip")}
    said = [counted(others["note"], "note")] if others["note"] else []
    said += [f"{others['skip']} skipped"] if others["skip"] else []
    passed = len(findings) - others["skip"]
    return f"doctor: {counted(passed, 'check')} passed" + (f" ({', '.join(said)})" if said else "")
