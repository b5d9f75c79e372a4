"""`kernbench describe` against hand counts."""


def test_describe_shows_operations_of_making_kernels_and_the_licence(bench):
    hidden, size = 8, 33
    words = ("--channels", "6", "--kernel-size", str(size), "--set", f"hidden={hidden}")
    told = bench.run("describe", "siren", *words).out
    # two operations a weight and tap: lag to hidden, hidden to hidden, hidden to every channel pair of each layer
    operations = sum(2 * size * (hidden + hidden**2 + hidden * pairs) for pairs in (6, 36, 36, 36))
    assert f"making all kernels once: {operations / 1e6:.1f} MFLOP" in told
    assert "licence of its reference: MIT" in told


def test_a_family_that_does_not_say_has_no_operations(bench):
    (bench.folder / "mine.py").write_text(
        "import torch, kernbench\n"
        "class Flat(kernbench.KernelModule):\n"
        "    def __init__(self, spec):\n"
        "        super().__init__(spec)\n"
        "        self.level = torch.nn.Parameter(torch.ones(spec.shape[:2]))\n"
        "    def forward(self, grid):\n"
        "        return self.level[..., None].expand(self.spec.shape).clone()\n"
        "@kernbench.hookimpl\n"
        "def kernbench_kernels():\n"
        "    return [kernbench.KernelFamily('flat', Flat)]\n"
    )
    told = bench.run("describe", "./mine.py:flat", "--channels", "2", "--kernel-size", "5")
    assert told.code == 0, told
    assert "GFLOP" in told.out
    assert "making all kernels" not in told.out
    assert "licence" not in told.out
