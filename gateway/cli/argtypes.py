"""Types of the command line's words, for argparse: each takes the text, or says in one line what it should be."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from gateway.cli import forms

Add = Callable[[str, str, str], argparse.ArgumentParser]
"""Adds a command: its name, the module of gateway.cli.commands that has its function, what it does in a line."""


def duration(text: str) -> float:
    """Seconds of `10s`, `2m`..."""
    try:
        return forms.duration(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err


def duration_between(least: str, most: str) -> Callable[[str], float]:
    """Seconds of a duration within bounds."""
    low, high = forms.duration(least), forms.duration(most)

    def within(text: str) -> float:
        seconds = duration(text)
        if not low <= seconds <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not within {least} to {most}")
        return seconds

    return within


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def port(text: str) -> int:
    """A TCP port; 0 is a free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to 65535")
    return int(text)


def units(text: str) -> tuple[int, int]:
    """First and last of unit ids: `1` or `1-30`."""
    first, dash, last = text.partition("-")
    last = last if dash else first
    if not first.isdecimal() or not last.isdecimal() or not 0 <= int(first) <= int(last) <= 255:
        raise argparse.ArgumentTypeError(f"{text!r} is no unit: write 1 or 1-30, up to 255")
    return int(first), int(last)
