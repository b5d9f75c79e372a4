"""MATLAB v7.3 files, which are HDF5, with the extra `mat73`: the same variables that SciPy gives for older files."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kernbench.errors import DataError, first_line

Array = npt.NDArray[Any]  # any type that MATLAB has


def read_hdf5(content: bytes, name: str, wanted: Sequence[str] | None = None) -> Mapping[str, Any]:
    """Variables of a MATLAB v7.3 file, by name: numbers as arrays, structs as structured arrays of objects.

    Cells, objects and functions become None.

    Args:
        content: of the file, all of it.
        name: of the file, for messages.
        wanted: variables to read; all if left out.

    Raises:
        DataError: h5py is not installed, or the file is damaged.
    """
    try:
        import h5py  # noqa: PLC0415  an extra
    except ImportError as error:
        raise DataError(
            f"{name} is a MATLAB v7.3 file: pip install 'kernbench[mat73]' (h5py) reads it, or save it with -v7"
        ) from error
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            names = [each for each in file if not each.startswith("#") and (wanted is None or each in wanted)]
            return {each: _value(file, file[each]) for each in names}
    except Exception as error:  # h5py has no type of its own for what a damaged file may raise
        raise DataError(f"{name} is not a complete MATLAB v7.3 file: {first_line(error)}") from error


def _value(file: Any, item: Any) -> Array | None:  # of h5py, which has no types
    """A variable or a field as SciPy would give it."""
    if hasattr(item, "keys"):
        return _struct(file, item)
    kind = item.attrs.get("MATLAB_class", b"")
    if kind in (b"cell", b"function_handle") or item.dtype.kind == "O":
        return None
    if "MATLAB_empty" in item.attrs:
        return np.zeros((0, 0))
    values = np.asarray(item[()])
    if values.dtype.names == ("real", "imag"):
        values = values["real"] + 1j * values["imag"]
    if kind == b"char":
        return np.array(["".join(map(chr, row)) for row in np.atleast_2d(values.T)])
    return values.T  # MATLAB counts along columns


def _struct(file: Any, group: Any) -> Array:
    """A struct (1, 1), or an array of structs (1, n), whose fields are references to one value for each element."""
    fields = {key: _elements(file, group[key]) for key in group}
    size = max(map(len, fields.values()), default=1)
    made = np.empty((1, size), dtype=[(key, object) for key in fields])
    for key, values in fields.items():
        for place, value in enumerate(values):
            made[key][0, place] = value
    return made


def _elements(file: Any, item: Any) -> list[Array | None]:
    """Values of a field: one of a struct, several of an array of structs."""
    several = not hasattr(item, "keys") and item.dtype.kind == "O" and "MATLAB_class" not in item.attrs
    if not several:
        return [_value(file, item)]
    return [_value(file, file[reference]) for reference in item[()].ravel()]
