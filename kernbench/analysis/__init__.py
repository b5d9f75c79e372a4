"""Analyses of trained kernels and networks."""
