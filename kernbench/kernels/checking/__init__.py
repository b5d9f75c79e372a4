"""The conformance checks, one file a theme; `kernbench.kernels.checks` lists them."""
