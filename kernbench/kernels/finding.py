"""What a conformance check raises."""


class Finding(Exception):  # noqa: N818  # not an error of ours: what is wrong with the plugin
    """A check that failed; the message says what is wrong, in one line."""
