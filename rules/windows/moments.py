"""Sums that never drift: weighted first and second moments of numbers, kept exactly."""

from __future__ import annotations

import math

from rules.values import NoValue


class Moments:
    """Of numbers with whole weights: sums of weight, weight x number, weight x number squared.

    The sums are whole numbers in units of 2**-scale, so adding and taking away again for years leaves no trace, and
    a very large number that has gone leaves nothing behind. Only finite numbers may be added. Results are rounded
    once, at the end.
    """

    __slots__ = ("first", "scale", "second", "weight")

    def __init__(self, scale: int = 0, weight: int = 0, first: int = 0, second: int = 0) -> None:
        self.scale = scale
        self.weight = weight
        self.first = first
        self.second = second

    def copy(self) -> Moments:
        return Moments(self.scale, self.weight, self.first, self.second)

    def add(self, number: float, weight: int) -> None:
        """Add a number; a negative weight takes it away."""
        units, parts = number.as_integer_ratio()
        shift = self.scale + 1 - parts.bit_length()
        if shift < 0:
            self._refine(-shift)
        else:
            units <<= shift
        product = units * weight
        self.weight += weight
        self.first += product
        self.second += units * product

    def join(self, other: Moments, part: int = 1, whole: int = 1) -> None:
        """Add part/whole of other moments. Exact where whole is 1."""
        if other.scale > self.scale:
            self._refine(other.scale - self.scale)
        shift = self.scale - other.scale
        self.weight += other.weight * part // whole
        self.first += (other.first * part // whole) << shift
        self.second += (other.second * part // whole) << 2 * shift

    def _refine(self, bits: int) -> None:
        self.scale += bits
        self.first <<= bits
        self.second <<= 2 * bits

    def total(self) -> float:
        """The sum of weight x number. Raises NoValue where nothing is in it, or no float is that large."""
        if not self.weight:
            raise NoValue
        try:
            return self.first / (1 << self.scale)
        except OverflowError:
            raise NoValue from None

    def mean(self) -> float:
        """Raises NoValue where nothing is in it."""
        if not self.weight:
            raise NoValue
        return self.first / (self.weight << self.scale)

    def deviation(self) -> float:
        """The standard deviation of the whole population. Raises NoValue where nothing is in it."""
        if not self.weight:
            raise NoValue
        squared = self.second * self.weight - self.first * self.first
        if squared <= 0:
            return 0.0
        lift = max(0, 130 - squared.bit_length()) // 2  # the root of a whole number: enough digits for a float
        return math.isqrt(squared << 2 * lift) / (self.weight << self.scale + lift)

    def state(self) -> list[str | int]:
        """Plain values; whole numbers of any length are texts."""
        return [self.scale, self.weight, hex(self.first), hex(self.second)]

    @classmethod
    def of(cls, state: list[str | int]) -> Moments:
        """The moments of a `state()`."""
        scale, weight, first, second = state
        return cls(int(scale), int(weight), int(str(first), 16), int(str(second), 16))
