"""Figures of one cell: its kernels and their spectra, an example line, its learning curve. Arrays in, Figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from kernbench.plotting.style import LABEL_COLOUR, OUTPUT_COLOUR, QUIET, RULE, in_grid, letter, panels, shades, styled
from kernbench.ulm.line import PULSE_FREQUENCY_HZ, SAMPLE_RATE_HZ, SPEED_OF_SOUND_M_PER_S

Floats = NDArray[np.float64]

SHOWN_KERNELS = 4
ZOOM_SAMPLES = 320
FLOOR_DB = -50
CURVE_COLUMNS = ("train_loss", "val_loss", "val_f1", "rate")  # that are drawn over the epoch


@styled
def kernel_figure(
    kernels: Sequence[ArrayLike],
    spectra: Sequence[ArrayLike],
    starts: Sequence[ArrayLike] = (),
    *,
    rate_hz: float = SAMPLE_RATE_HZ,
    title: str = "",
    side: str = "centered",
    pulse_hz: float = PULSE_FREQUENCY_HZ,
) -> Figure:
    """Trained kernels of each layer beside their spectra.

    Args:
        kernels: one array (n, K) per layer; the four of largest energy are drawn.
        spectra: one array (3, F) per layer: 5, 50 and 95 % quantiles over its kernels, at F frequencies from 0 to half
            the rate; layers may have different numbers of taps, and of frequencies.
        starts: kernels before training, like `kernels`; drawn in grey.
        rate_hz: sampling rate.
        title: of the figure.
        side: of the kernels, see `kernbench.KernelSpec`.
        pulse_hz: frequency of the driving pulse.
    """
    count = len(kernels)
    figure, axes = panels(count, 2, height=0.8 + 1.35 * count, measured=False, sharex="col")
    for layer, (taps, spectrum) in enumerate(zip(kernels, spectra, strict=True)):
        start = starts[layer] if layer < len(starts) else None
        _draw_kernels(axes[layer, 0], np.asarray(taps, float), start, side)
        _draw_spectrum(axes[layer, 1], np.asarray(spectrum, float), rate_hz, pulse_hz)
        letter(axes[layer, 0], 2 * layer, f"layer {layer + 1}: kernels")
        letter(axes[layer, 1], 2 * layer + 1, f"layer {layer + 1}: power")
    axes[-1, 0].set_xlabel(f"lag [samples of {1e9 / rate_hz:g} ns]; positive looks ahead")
    axes[-1, 1].set_xlabel(f"frequency [MHz], root scale; 1 MHz is {1e6 / rate_hz:.3g} cycles/sample", fontsize=7)
    handles = [*axes[0, 0].get_legend_handles_labels()[0], *axes[0, 1].get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="lower center", ncols=5, columnspacing=1.2)
    if title:
        figure.suptitle(title, fontsize=9)
    # a page has dozens of these
    in_grid(figure, (count, 2), left=0.7, right=0.1, top=0.5 if title else 0.25, bottom=0.72, across=0.6, down=0.35)
    return figure


def _draw_kernels(axes: Axes, taps: Floats, start: ArrayLike | None, side: str) -> None:
    last = taps.shape[1] - 1
    lags = np.arange(last + 1) - {"centered": last // 2, "causal": last, "anticausal": 0}[side]
    strongest = np.argsort(-np.square(taps).sum(axis=1), kind="stable")[:SHOWN_KERNELS]
    if start is not None:
        before = np.asarray(start, float)[strongest]
        label = ["before training"] + ["_nolegend_"] * (len(before) - 1)  # the legend names them once
        axes.plot(lags, before.T, color="#c4c4c4", linewidth=0.8, label=label)
    for row, colour in zip(taps[strongest], shades(len(strongest)), strict=True):
        axes.plot(lags, row, color=colour, linewidth=1.0)
    axes.lines[-1].set_label("trained, four strongest")
    axes.axvline(0, color=RULE, linewidth=0.5)
    axes.margins(x=0.01)
    axes.set_ylabel("tap")


def _draw_spectrum(axes: Axes, spectrum: Floats, rate_hz: float, pulse_hz: float) -> None:
    low, middle, high = _decibels(spectrum)
    mhz = np.fft.rfftfreq(2 * (spectrum.shape[1] - 1)) * rate_hz / 1e6
    axes.fill_between(mhz, low, high, color=OUTPUT_COLOUR, alpha=0.2, linewidth=0, label="5 to 95 % of kernels")
    axes.plot(mhz, middle, color=OUTPUT_COLOUR, linewidth=1.0, label="median kernel")
    label = f"pulse, {pulse_hz / 1e6:.3g} MHz"
    axes.axvline(pulse_hz / 1e6, color=LABEL_COLOUR, linewidth=0.9, linestyle="--", label=label)
    # The pulse is at 5 % of the band: a linear axis would squeeze all that matters into its left edge.
    axes.set_xscale("function", functions=(lambda f: np.sqrt(np.maximum(f, 0)), np.square))
    ticks = [tick for tick in (0, 1, 2, 5, 10, 20, 30) if tick <= rate_hz / 2e6]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlim(0, rate_hz / 2e6)
    axes.set_ylim(FLOOR_DB, 5)
    axes.set_ylabel("power [dB]")


def _decibels(power: Floats) -> Floats:
    """Decibels below the largest value; NaN where there is no power at all."""
    top = np.nanmax(power, initial=0)
    relative = power / top if top > 0 else np.full_like(power, np.nan)
    return np.asarray(10 * np.log10(np.maximum(relative, 10 ** (FLOOR_DB / 10 - 1))))


@styled
def example_figure(
    voltage: ArrayLike,
    counts: ArrayLike,
    prediction: ArrayLike,
    threshold: float,
    start: int = 0,
    *,
    rate_hz: float = SAMPLE_RATE_HZ,
) -> Figure:
    """One test line: its voltage, where the bubbles are, what the network says; complete and enlarged.

    Args:
        voltage: RF signal, (L,) a.u.
        counts: bubbles per sample, (L,).
        prediction: network output, (L,).
        threshold: above which a sample is a detection.
        start: first sample of the window within the whole line.
        rate_hz: sampling rate.
    """
    signal, label, output = (np.asarray(each, float) for each in (voltage, counts, prediction))
    samples = start + np.arange(len(signal))
    zoom = busiest(label > 0.5)
    figure, axes = panels(2, 2, height=3.7, sharex="col", sharey="row", width_ratios=[1.25, 1])
    for column, part in enumerate((slice(None), zoom)):
        draw_voltage(axes[0, column], samples[part], signal[part], rate_hz)
        _draw_output(axes[1, column], samples[part], label[part], output[part], threshold)
    # Outputs are unbounded, so the ticks of label and detections have a strip of their own below them.
    low, high = min(0.0, output.min()), max(threshold, output.max())
    span = (high - low) or 1.0
    axes[1, 0].set_ylim(low - 0.4 * span, high + 0.05 * span)
    for panel in axes[:, 0]:
        panel.axvspan(samples[zoom][0], samples[zoom][-1], color="#f0e6c8", alpha=0.7, linewidth=0, zorder=0)
    names = ("RF line", "shaded part, enlarged", "label and output", "label and output, enlarged")
    for place, (panel, name) in enumerate(zip(axes.flat, names, strict=True)):
        letter(panel, place, name)
    axes[0, 0].set_ylabel("voltage [a.u.]")
    axes[1, 0].set_ylabel("output")
    for panel in axes[1]:
        panel.set_xlabel(f"sample of {1e9 / rate_hz:g} ns")
    figure.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def busiest(truth: NDArray[np.bool_]) -> slice:
    """Stretch of typical density to enlarge: the one whose number of truths is the median of all stretches."""
    length = min(ZOOM_SAMPLES, len(truth))
    inside = np.convolve(truth, np.ones(length), mode="valid")
    first = int(np.argsort(inside, kind="stable")[len(inside) // 2])
    return slice(first, first + length)


def draw_voltage(axes: Axes, samples: NDArray[np.int64], signal: Floats, rate_hz: float) -> None:
    """Draw a signal over its samples (n,), with the two-way depth above."""
    axes.plot(samples, signal, color="#333333", linewidth=0.7)
    axes.margins(x=0.005)
    to_depth = 1e3 * SPEED_OF_SOUND_M_PER_S / 2 / rate_hz
    top = axes.secondary_xaxis(
        "top", functions=(lambda n: np.multiply(n, to_depth), lambda mm: np.divide(mm, to_depth))
    )
    top.set_xlabel("depth, two-way [mm]", fontsize=7.5)


def _draw_output(axes: Axes, samples: NDArray[np.int64], label: Floats, output: Floats, threshold: float) -> None:
    strip = axes.get_xaxis_transform()
    axes.plot(samples, output, color=OUTPUT_COLOUR, linewidth=0.8, label="network output", zorder=3)
    axes.axhline(threshold, color=RULE, linewidth=0.8, linestyle="--", label=f"threshold {threshold:.3g}")
    for where, bottom, colour, name in (
        (label > 0.5, 0.14, LABEL_COLOUR, "bubbles (label)"),
        (output > threshold, 0.01, "#222222", "detections"),
    ):
        axes.vlines(samples[where], bottom, bottom + 0.1, colors=colour, label=name, linewidth=0.8, transform=strip)


@styled
def curve_figure(curve: Mapping[str, ArrayLike]) -> Figure:
    """Learning curve of one cell.

    Args:
        curve: columns of curve.csv by name: epoch, train_loss, val_loss, val_f1, rate; NaN where an epoch was not
            validated.
    """
    columns = {name: np.asarray(values, float) for name, values in curve.items()}
    epoch = columns["epoch"]
    figure, axes = panels(1, 2, height=2.5)
    train, validation, score, rate = (columns.get(name, np.array([])) for name in CURVE_COLUMNS)
    draw_sparse(axes[0, 0], epoch, train, color=OUTPUT_COLOUR, label="training")
    draw_sparse(axes[0, 0], epoch, validation, color=LABEL_COLOUR, label="validation")
    draw_sparse(axes[0, 1], epoch, score, color=LABEL_COLOUR)
    for panel in axes[0]:
        _mark_decay(panel, epoch, rate)
        panel.set_xlabel("epoch")
        panel.margins(x=0.02)
    axes[0, 0].set_ylabel("dual loss")
    axes[0, 1].set_ylabel("mean F1")
    axes[0, 1].set_ylim(bottom=0)
    axes[0, 0].legend(loc="upper right")
    letter(axes[0, 0], 0, "loss")
    letter(axes[0, 1], 1, "score on validation lines")
    return figure


def draw_sparse(axes: Axes, epoch: Floats, values: Floats, **style: object) -> None:
    """Draw the finite values of a column as one connected line; nothing if the column is missing."""
    if len(values) != len(epoch):
        return
    known = np.isfinite(values)
    axes.plot(epoch[known], values[known], **style)  # type: ignore[arg-type]


def _mark_decay(axes: Axes, epoch: Floats, rate: Floats) -> None:
    if len(rate) != len(epoch):
        return
    for place in np.flatnonzero(np.diff(rate) != 0)[:3]:
        label = f"rate drops to {rate[place + 1]:.3g}"
        axes.axvline(epoch[place + 1], color=QUIET, linewidth=0.9, linestyle=":", label=label)
