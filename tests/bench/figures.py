"""Medians, and how far to trust them."""

from collections.abc import Sequence
from statistics import median, quantiles
from typing import NamedTuple


class Figure(NamedTuple):
    """A median and the half width of its 95 % interval (McGill, Tukey and Larsen 1978), in the unit of the samples."""

    median: float
    spread: float


def figure(samples: Sequence[float]) -> Figure:
    """Sum samples up; one sample has no spread. Raises `ValueError` on none."""
    if len(samples) == 1:
        return Figure(samples[0], 0.0)
    low, _, high = quantiles(samples, n=4, method="inclusive")
    return Figure(median(samples), 1.57 * (high - low) / len(samples) ** 0.5)


def paired_ratio(samples: Sequence[float], base: Sequence[float]) -> Figure:
    """Compare two peers round by round: what disturbs a round disturbs both sides of its ratio."""
    return figure([ours / theirs for ours, theirs in zip(samples, base, strict=True)])
