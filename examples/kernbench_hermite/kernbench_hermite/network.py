"""A network whose layers see less and less."""

from collections.abc import Sequence

import kernbench


class Tapered(kernbench.Architecture):
    """Layer l has about K / 2^l taps, an odd number, three at least."""

    def layers(self, kernel_size: int, channels: int, depth: int) -> Sequence[kernbench.KernelSpec]:
        """One spec for each layer."""
        sizes = [max(3, kernel_size >> level | 1) for level in range(depth)]
        return [
            kernbench.KernelSpec(channels, channels if level else 1, kernel_size=size)
            for level, size in enumerate(sizes)
        ]
