"""Variables of a user's MATLAB file; what is no such file is refused in one line that says what to do."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from kernbench.errors import DataError, first_line
from kernbench.ulm.simulator.mat73 import read_hdf5

_HDF5 = b"\x89HDF\r\n\x1a\n"  # MATLAB writes it after 512 bytes of its own


def read_variables(content: bytes, name: str, wanted: Sequence[str] | None = None) -> Mapping[str, Any]:
    """Variables of a MATLAB file, by name; of v7.3 with the extra `mat73`.

    Args:
        content: of the file, all of it.
        name: of the file, for messages.
        wanted: variables to read; all if left out.

    Raises:
        DataError: another kind of file, one that is damaged, or v7.3 without the extra.
    """
    from scipy.io import loadmat  # noqa: PLC0415  every command that knows networks would load it, few read such files

    if content.lstrip()[:32].startswith((b"# Created by Octave", b"# name:")):
        raise DataError(f"{name} is text that Octave wrote; save it with `save -v7`, as a MATLAB file")
    if _HDF5 in (content[:8], content[512:520]):
        return read_hdf5(content, name, wanted)
    try:
        found: Mapping[str, Any] = loadmat(io.BytesIO(content), variable_names=wanted)
    except Exception as error:  # scipy has no type of its own for what a damaged file may raise
        raise DataError(f"{name} is not a complete MATLAB v5 file: {first_line(error)}") from error
    return found
