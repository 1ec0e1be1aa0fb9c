"""Writes numbers as a person reads them."""

from __future__ import annotations

from lifelong.records.metrics import Quantity

_UNITS = (("s", 1), ("min", 60), ("h", 3600))
_PREFIXES = ("", " k", " M", " G", " T", " P")


def write(value: float, quantity: Quantity) -> str:
    """Write a number of some kind.

    >>> write(0.9123, "fraction"), write(85432, "count"), write(12.34, "number"), write(3.14, "seconds")
    ('0.912', '85.4 k', '12.3', '3.1 s')
    """
    if quantity == "fraction":
        return f"{value:.3f}".replace("-0.000", "0.000")
    if quantity == "seconds":
        return _duration(value)
    return _compact(value)


def _compact(value: float) -> str:
    """Three significant digits, in steps of a thousand."""
    rounded = float(f"{value:.3g}")
    step = 0
    while abs(rounded) >= 1000 and step + 1 < len(_PREFIXES):
        rounded /= 1000
        step += 1
    return f"{rounded:.3g}{_PREFIXES[step]}"


def _duration(seconds: float) -> str:
    """Two significant digits, in seconds, minutes or hours."""
    unit, length = next(((unit, length) for unit, length in _UNITS if seconds < 100 * length), _UNITS[-1])
    return f"{float(f'{seconds / length:.2g}'):g} {unit}"
