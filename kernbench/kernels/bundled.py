"""Families that come with kernbench: their plugin has the version of all of kernbench.

A release that changes what a family computes raises the version of the studies, the task or the protocol, which stored
definitions hold. So the number of the release alone never makes other kernels.
"""

BUNDLED_DISTRIBUTION = "kernbench"
# What stands for the plugin in checkpoints of every release, so that each goes on with those of the others.
AS_FIRST_RELEASED = "kernbench 0.1.0"


def is_bundled(label: str) -> bool:
    """Whether a plugin, by its label as stored with runs, comes with kernbench, of whichever release."""
    return label.partition(" ")[0] == BUNDLED_DISTRIBUTION
