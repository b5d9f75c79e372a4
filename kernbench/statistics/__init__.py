"""Intervals of scores; knows arrays, not studies."""
