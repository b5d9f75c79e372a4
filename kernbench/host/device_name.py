"""Names of devices, known without torch: the doctor says it in a line where torch cannot be imported."""

from kernbench.errors import KernbenchError


def check_device_name(name: str) -> str:
    """The name, if it is that of a device, also of one that is not there.

    Raises:
        KernbenchError: another name.
    """
    kind, _, index = name.partition(":")
    if name not in ("auto", "cpu") and (kind != "cuda" or not (index == "" or index.isdecimal())):
        raise KernbenchError(f"--device: expected auto, cpu or cuda[:i], got {name!r}")
    return name
