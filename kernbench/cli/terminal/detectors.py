"""Tables of classical detectors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from kernbench.errors import counted

if TYPE_CHECKING:
    from kernbench.ulm.detectors.results import DetectorRow, Domain


def noise_text(domain: "Domain") -> str:
    """Noise of the lines in words."""
    here = f"noise {domain.noise_percent:g} %"
    own = domain.test_noise_percent
    return here if own == domain.noise_percent else f"{here}, of the test lines {own:g} %"


def print_rows(rows: Sequence["DetectorRow"], title: str) -> None:
    """Results at the headline tolerance, and mean F1 at all tolerances."""
    from rich.table import Table
    from rich.text import Text

    from kernbench.cli.terminal import console
    from kernbench.ulm.detectors.names import BLIND
    from kernbench.ulm.scoring.floors import FLOORS_TEXT
    from kernbench.ulm.scoring.protocol import HEADLINE_TOLERANCE
    from kernbench.ulm.scoring.scores import TOLERANCES, tolerance_um

    where = f"{title}: {counted(rows[0].lines, 'test line')}, tolerance {HEADLINE_TOLERANCE} samples"
    caption = "Precision, recall and RMSE (samples, and µm of two-way depth) belong to the one-to-one metric."
    table = Table(title=Text(where), title_justify="left", caption=caption, caption_justify="left")
    table.add_column("method", no_wrap=True)
    for name in ("F1", "one-to-one F1", "precision", "recall", "RMSE", "µm", "delay", "width", "fit", "a line"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("setting", overflow="fold")
    for row in (row for row in rows if row.tolerance_samples == HEADLINE_TOLERANCE):
        numbers = (row.f1, row.matched_f1, row.matched_precision, row.matched_recall)
        table.add_row(
            row.method,
            *(f"{number:.3f}" for number in numbers),
            f"{row.rmse_samples:.2f}",
            f"{float(tolerance_um(row.rmse_samples)):.1f}",
            str(row.delay_samples),
            f"{row.width_samples:g}".replace("nan", ""),
            f"{row.fit_seconds:.0f} s",
            f"{row.line_ms:.1f} ms",
            Text(row.setting),
        )
    console.stdout().print(table)
    if any(row.method in BLIND for row in rows):
        click.echo(FLOORS_TEXT)
    by_method: dict[str, list[DetectorRow]] = {}
    for row in rows:
        by_method.setdefault(row.method, []).append(row)
    sweep = Table(title=Text("F1, and one-to-one F1 below it, by tolerance [samples]"), title_justify="left")
    for head in ("method", *map(str, TOLERANCES)):
        sweep.add_column(head, justify="left" if head == "method" else "right")
    for name, members in by_method.items():
        sweep.add_row(name, *(f"{row.f1:.3f}" for row in members))
        sweep.add_row("", *(f"{row.matched_f1:.3f}" for row in members), style="dim", end_section=True)
    console.stdout().print(sweep)
