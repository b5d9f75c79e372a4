"""Writes docs/kernels.md from what the families say of themselves, and a picture of each at its start.

    python benchmarks/kernels_page.py [--text]

With --text the pictures stay as they are. What families can represent is read from docs/data/kernel_fit.csv.
"""

import functools
import inspect
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import torch

import kernbench
from kernbench.analysis.spectrum import power_spectrum
from kernbench.bench.kernel_fit_figure import draw
from kernbench.bench.kernel_fits import BUDGETS, Summary, read_rows, summaries
from kernbench.kernels import capabilities
from kernbench.kernels.gain import calibrate
from kernbench.kernels.layer import KernelConv
from kernbench.plotting.style import OUTPUT_COLOUR, panels, save_png, styled
from kernbench.report.numbers.comparison import Comparison

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))
import make_results  # noqa: E402 - a script of the folder docs

PAGE, PICTURES = ROOT / "docs" / "kernels.md", ROOT / "docs" / "img" / "kernels"
FITS, FIT_PICTURE = ROOT / "docs" / "data" / "kernel_fit.csv", ROOT / "docs" / "img" / "kernel_fit.png"
SIZES = (65, 257)
HEAD = """# Kernel families

Made by `python benchmarks/kernels_page.py` from what the families say of themselves. m is a lag in samples,
t = m / extent, P the number of channel pairs, K the number of taps. Every family starts at gain 1. Each picture shows
one kernel at its start with the default hyper-parameters, brought to gain 1: its taps at K = 65 and its power over
frequency [cycles/sample], then the same at K = 257. The shaded band, 0.016 to 0.08 cycles/sample, is 1 to 5 MHz, where
echoes lie. What a family offers beyond its kernel: [hooks](hooks.md#what-a-kernel-module-may-offer).

In a study, `network.layer` puts a family's kernels into another layer than a plain one; `describe --layer` counts it:

- `separable`: k[o, i, m] = mix[o, i] k_i[m]. The family makes one kernel for each of the C input channels, C_in C_out
  numbers mix them (Chollet 2017, Xception). The layer starts at gain 1.
- `branches`: BN(k * x) + BN(s * x), s of 5 free taps. The family makes k, each branch starts at gain 1, and evaluation
  convolves once with the merged kernel (Ding et al. 2022, RepLKNet, MIT). P 5 + 4 C_out parameters more.
- `tiled`: y[t] comes from kernel t mod q, q = `network.tiles`. The family makes kernels for q C_out output channels,
  and biases rotate with them ([networks](networks.md#tiled-layers)).

Under a family with results stand its scores in the task, from the cells that [Results](results.md) explains: mean F1
and its difference from free taps with 95 % intervals over seeds and lines, the verdict over all differences of the
study, and the rank among all families of the study at that size (none for a network that may be no better than a blind
guess). Intervals are of each number alone; only the verdicts are corrected for how many there are (Holm). Time is
that of the fastest cell, training and scoring on one core of a shared machine.
"""

CARDS = {  # studies whose results stand under the families, and what they are
    "k_sweep.v1.quick": "With its default setting (`k_sweep` at `quick`):",
    "param_budget.v1.quick": "With as many parameters as free taps (`param_budget` at `quick`):",
}

REPRESENTED = """## What a family can represent

One kernel of 129 taps (one channel pair, lags -64 to 64) is fitted to each of five targets, without a network, at
three budgets of parameters. A budget takes the setting with the most parameters that it allows; a family that cannot be
so small has the fewest that it can have. Error: norm(kernel - target) / norm(target); 1 is what a kernel of zeros has.
Of white noise, 32 weights of fixed shapes leave sqrt(1 - 32 / 129) = 0.87 on average, whatever the shapes.

- `echo`: simulated echo of one bubble, the 129 samples with 99 % of its energy; a matched filter
- `wiener`: its Wiener inverse, noise power 0.01 of the strongest bin; the 129 taps with 96 % of the energy
- `chirp`: a cosine from 0.016 to 0.08 cycles/sample
- `step`: 0 before lag 0, then 1
- `noise`: white Gaussian noise, one draw

This is a cheap picture: what a family can represent with so many parameters, not how good it is. It ranks no families
in the task: an error here is of one kernel that is known in advance, and trained networks have many that are not.
Where a kernel is linear in its parameters, least squares finds the best fit; elsewhere it is the best that Adam found
from a start (1,000 steps, then least squares for the linear part), and a better one may exist: a wide range over the
seeds is one of Adam. `longconv` has every kernel, but a tap that starts under its threshold has no gradient. Implicit
kernels share one network over all channel pairs; with one pair they look larger than they are in a layer.

![Error against parameters for each family and target](img/kernel_fit.png)

Lines are medians over 5 seeds, bars their range; errors below 0.0001 and parameters above 256 are drawn there. The
table has the middle budget, {budget} parameters: median, and range where the seeds differ.
[kernel_fit.csv](data/kernel_fit.csv) has every fit ([columns](tables.md)), made by
`OMP_NUM_THREADS=1 kernbench analyze fit --out FOLDER` in 7 CPU minutes (x86-64, PyTorch 2.13.0, other load).
"""


def represented() -> str:
    """The section about fits, with the table at the middle budget."""
    found = [each for each in summaries(read_rows(FITS)) if each.budget == BUDGETS[1]]
    targets = list(dict.fromkeys(each.target for each in found))
    lines = [REPRESENTED.format(budget=BUDGETS[1])]
    lines += [f"| family | parameters | {' | '.join(targets)} |", f"|---|---|{'---|' * len(targets)}"]
    rows: dict[str, list[Summary]] = {}
    for each in found:
        rows.setdefault(each.family, []).append(each)
    for name, errors in rows.items():
        lines.append(f"| {name} | {errors[0].parameters:,} | {' | '.join(each.range_text for each in errors)} |")
    return "\n".join([*lines, ""])


def families() -> Iterator[tuple[str, str, kernbench.KernelFamily]]:
    """Package, its first line, and family of all bundled ones, package by package."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        packages = tomllib.load(file)["project"]["entry-points"]["kernbench"].values()
    for package in sorted(packages):
        module = import_module(package)
        # a package may offer networks alone
        for family in module.kernbench_kernels() if hasattr(module, "kernbench_kernels") else ():
            yield package, inspect.getdoc(module).splitlines()[0], family


def section(family: kernbench.KernelFamily) -> str:
    """What one family says of itself."""
    kernel_class = family.load()
    package = kernel_class.__module__.partition(".")[0]
    kin = [each for each in kernel_class.__mro__ if each.__module__.partition(".")[0] == package]
    text = "\n\n".join(_formula(each) for each in kin)
    counted = capabilities.of(kernel_class, "param_count")
    count = "" if counted is None else inspect.getdoc(counted).splitlines()[0]
    lines = [
        f"### {family.name}",
        "",
        f"{family.description[0].upper()}{family.description[1:]}.",
        "",
        "```text",
        text,
        "```",
    ]
    lines += ["", f"![One kernel of {family.name} and its spectrum](img/kernels/{family.name}.png)", ""]
    spec = kernbench.KernelSpec(22, 22, kernel_size=65)
    lines += [f"Parameters: {count} For 22 x 22 channels at K = 65: {family.param_count(spec):,}.", ""]
    if family.parameters:
        lines += ["| hyper-parameter | range | default | meaning |", "|---|---|---|---|"]
        for name, parameter in family.parameters.items():
            ranges = parameter.describe().replace("|", "\\|")
            lines.append(f"| `{name}` | {ranges} | {parameter.start} | {parameter.doc} |")
        lines.append("")
    lines += [f"Offers {', '.join(f'`{each}`' for each in capabilities.offered(kernel_class))}.{_kin(family)}", ""]
    licence = f" Licence of the reference: {family.licence}." if family.licence else ""
    return "\n".join([*lines, f"{family.citation}.{licence}", "", *_cards(family.name)])


def _cards(family: str) -> Iterator[str]:
    """A place for the results of each study that the family took part in."""
    for base, said in CARDS.items():
        if base in results() and family in results()[base].families:
            yield f"{said}\n<!-- data: {base} card {family} --><!-- / -->\n"


@functools.cache
def results() -> dict[str, Comparison]:
    """The exported studies."""
    return make_results.studies()


def _kin(family: kernbench.KernelFamily) -> str:
    """Which families it contains, and the rule between its taps where it is not that of functions of the lag."""
    contained = ", ".join(f"`{each.family}`" for each in family.contains)
    rules = {"points": "", "integrals": " Taps are integrals over their step.", "none": " Nothing between its taps."}
    return (f" Contains {contained}." if contained else "") + rules[family.resampling]


def _formula(kernel_class: type) -> str:
    return (inspect.getdoc(kernel_class) or "").partition("\nArgs:")[0].strip()


def page() -> str:
    """The whole page."""
    parts, last = [HEAD, represented()], ""
    for package, title, family in families():
        if package != last:
            parts.append(f"## {title.rstrip('.')}\n")
            last = package
        parts.append(section(family))
    return str(make_results.filled("\n".join(parts), results()))


@styled
def picture(family: kernbench.KernelFamily) -> object:
    """One kernel at its start and its spectrum, at two sizes."""
    figure, axes = panels(1, 2 * len(SIZES), height=1.35)
    for place, size in enumerate(SIZES):
        torch.manual_seed(0)
        spec = kernbench.KernelSpec(1, 1, kernel_size=size)
        layer = KernelConv(family.build(spec), spec)
        calibrate(layer)
        taps = layer.kernel().detach().numpy()[0, 0]
        spectrum = power_spectrum(taps)
        shape, power = axes[0, 2 * place], axes[0, 2 * place + 1]
        shape.plot(np.arange(size) - size // 2, taps, color=OUTPUT_COLOUR, linewidth=0.8)
        shape.set_title(f"K = {size}")
        power.axvspan(0.016, 0.08, color="#eeeeee")
        power.plot(spectrum.frequency, spectrum.power / spectrum.power.max(), color=OUTPUT_COLOUR, linewidth=0.8)
        power.set_xlim(0, 0.25)
        power.set_yticks([])
    return figure


def main() -> None:
    """Write the page, and the pictures unless only the text is asked for."""
    PAGE.write_text(page(), encoding="utf-8")
    if "--text" not in sys.argv:
        PICTURES.mkdir(parents=True, exist_ok=True)
        save_png(draw(summaries(read_rows(FITS))), FIT_PICTURE, dpi=130)
        for _, _, family in families():
            save_png(picture(family), PICTURES / f"{family.name}.png", dpi=100)


if __name__ == "__main__":
    main()
