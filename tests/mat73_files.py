"""MATLAB v7.3 files as MATLAB lays them out: HDF5 with columns first, structs as groups, elements by reference."""

import io

import h5py
import numpy as np


def mat73(**variables):
    """Content of a file: numbers and text as they are, a dict as a struct, a list of dicts as an array of structs."""
    out = io.BytesIO()
    with h5py.File(out, "w", userblock_size=512) as file:
        for name, value in variables.items():
            write(file, file, name, value)
    content = bytearray(out.getvalue())
    content[:128] = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    return bytes(content)


def write(file, group, name, value):
    if isinstance(value, dict):
        made = group.create_group(name)
        made.attrs["MATLAB_class"] = np.bytes_("struct")
        for key, each in value.items():
            write(file, made, key, each)
    elif isinstance(value, list):
        made = group.create_group(name)
        made.attrs["MATLAB_class"] = np.bytes_("struct")
        for key in value[0]:
            references = np.empty((len(value), 1), h5py.ref_dtype)
            for place, element in enumerate(value):
                kept = f"#refs#/{name}_{key}_{place}"
                write(file, file, kept, element[key])
                references[place, 0] = file[kept].ref
            made.create_dataset(key, data=references, dtype=h5py.ref_dtype)
    elif isinstance(value, str):
        letters = np.array([[ord(letter)] for letter in value], np.uint16)
        group.create_dataset(name, data=letters).attrs["MATLAB_class"] = np.bytes_("char")
    elif np.size(value) == 0:
        made = group.create_dataset(name, data=np.zeros(2, np.uint64))
        made.attrs["MATLAB_class"], made.attrs["MATLAB_empty"] = np.bytes_("double"), 1
    else:
        array = np.atleast_2d(value)
        if np.iscomplexobj(array):
            pair = np.empty(array.T.shape, [("real", float), ("imag", float)])
            pair["real"], pair["imag"] = array.T.real, array.T.imag
            group.create_dataset(name, data=pair).attrs["MATLAB_class"] = np.bytes_("double")
        else:
            kind = {"float64": "double", "float32": "single"}.get(str(array.dtype), str(array.dtype))
            group.create_dataset(name, data=array.T).attrs["MATLAB_class"] = np.bytes_(kind)
