"""What a conformance check raises."""


class Finding(Exception):  # noqa: N818  # not an error of ours: what is wrong with the plugin
    """A check that failed; the message says what is wrong, in one line."""


class Note(Exception):  # noqa: N818  # no error at all
    """What a family need not be able to do, and is not; the message is one line."""
