"""Fields of networks that count something."""

import kernbench


def check_whole(network: str, what: str, value: object, least: int) -> None:
    """Refuse what is no whole number, or too small a one.

    Args:
        network: its name, for the message.
        what: name of the field.
        value: of it.
        least: smallest that is right.

    Raises:
        KernbenchError: names network, field and value.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise kernbench.KernbenchError(f"network {network!r}: {what} must be a whole number >= {least}, got {value!r}")
