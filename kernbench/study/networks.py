"""What each network of a study has of its own: [networks.NAME] tables, and sizes that are worked out for it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kernbench.errors import StudyError, counted
from kernbench.study.settings import SETTINGS, Value
from kernbench.study.toml_tables import TomlTable, only, table_of

OWN = ("depth", "channels")  # keys of a [networks.NAME] table
TILED = "tiled"

Tables = dict[str, dict[str, Value]]


def sizes_text(facts: Mapping[str, Any]) -> str:
    """Sizes of a network in words: "K = 57, depth 2, 10 channels, sees 449 of 449 samples"."""
    asked = f" of {facts['field_asked']:,}" if "field_asked" in facts else ""
    width = counted(facts["channels"], "channel")
    return f"K = {facts['kernel_size']}, depth {facts['depth']}, {width}, sees {facts['field']:,}{asked} samples"


def read_networks(layers: Sequence[TomlTable], axes: Collection[str], source: str) -> Tables:
    """The [networks.NAME] tables of a study.

    A table need not belong to a network of the axes: a profile may have fewer of them, and a study grows.

    Args:
        layers: tables of profile and study, weakest first.
        axes: names of the axes.
        source: file, for messages.

    Returns:
        Name of a network, as in definitions -> its settings.

    Raises:
        StudyError: an unknown network, key or value; a setting that is an axis.
    """
    found: Tables = {}
    for layer in layers:
        for name, given in table_of(layer, "networks", source).items():
            known = str(SETTINGS["network"]["name"].checked(name, f"{source}: networks"))
            where = f"networks.{name}"
            table = table_of({where: given}, where, source)
            only(table, OWN, source, f"{where}.")
            if both := sorted(axes & table.keys()):
                raise StudyError(f"{source}: {where}.{both[0]}: {both[0]} is an axis of the study; keep one of the two")
            settings = {
                key: SETTINGS["network"][key].checked(v, f"{source}: {where}.{key}") for key, v in table.items()
            }
            found[known] = found.get(known, {}) | settings
    return {name: settings for name, settings in found.items() if settings}  # one without keys asks for nothing


def own_sizes(
    layers: Sequence[TomlTable],
    axes: Collection[str],
    tables: Tables,
    network: Mapping[str, Value],
    widths: bool,
    source: str,
) -> dict[str, Value]:
    """Settings of [network] that hold for all networks of a study.

    Where a study has [networks] tables, `network.field` or `budget.channels`, each network has sizes of its own: a
    depth, or channels that are worked out, that only the profile says is left out.

    Args:
        layers: tables of profile and study, weakest first; the first one is the profile.
        axes: names of the axes.
        tables: see `read_networks`.
        network: settings of [network], of all layers.
        widths: whether the budget chooses the channels.
        source: file, for messages.

    Raises:
        StudyError: two settings that say the same thing.
    """
    said = {*axes, *(key for layer in layers[1:] for key in table_of(layer, "network", source))}
    field = "field" in said
    if field:
        for name, what in (("kernel_size", "the kernel size is worked out"), ("reach", "it is of the whole network")):
            if name in said:
                raise StudyError(f"{source}: network.field and {name}: {what}; leave out one of the two")
    if widths and ("channels" in said or any("channels" in table for table in tables.values())):
        raise StudyError(f"{source}: budget.channels chooses the channels; leave it out, or the channels")
    _check_tiles(said, network, axes, source)
    if not (tables or field or widths):
        return dict(network)
    dropped = {"depth"} - said | ({"channels"} if widths else set())
    return {key: value for key, value in network.items() if key not in dropped}


def _check_tiles(said: Collection[str], network: Mapping[str, Value], axes: Collection[str], source: str) -> None:
    """Refuse a number of kernels in rotation where no layer has a rotation."""
    form = network.get("layer", "plain")
    if "tiles" in said and "layer" not in axes and form != TILED:
        raise StudyError(
            f"{source}: network.tiles is of layer = {TILED!r}, got layer = {form!r}: leave out tiles, or take "
            f"{TILED!r}, whose tiles = 1 is the plain layer"
        )
