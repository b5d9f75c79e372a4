"""What a conformance check raises."""


class Finding(Exception):  # noqa: N818  # not an error of ours: what is wrong with the plugin
    """A check that failed.

    Args:
        message: what is wrong, in one line.
        blocks: whether checks that need this one could only repeat it.
    """

    def __init__(self, message: str, *, blocks: bool = True) -> None:
        super().__init__(message)
        self.blocks = blocks


class Note(Exception):  # noqa: N818  # no error at all
    """What a family need not be able to do, and is not; the message is one line."""


class NotTried(Exception):  # noqa: N818  # no error at all
    """Nothing was there to check: the family does not offer it, or the machine has not what it takes; one line."""
