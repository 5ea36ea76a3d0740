"""JSON files, read by the YAML reader for its places: what JSON refuses is refused first, in JSON's words. Pure."""

from __future__ import annotations

import json
import re

from gateway.errors import Problem

_PAIR = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


def fault_of(file: str, text: str) -> Problem | None:
    """What keeps a text from being JSON."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return Problem(file, error.lineno, error.colno, "", f"not JSON: {error.msg}")
    except (RecursionError, ValueError):
        return Problem(file, 1, 1, "", "nested too deep, or a number too long", "flatten the structure")
    return None


def as_yaml(text: str) -> str:
    """JSON as YAML's reader takes it: it knows no character that is written as two halves, and no tab between words."""
    return _PAIR.sub(lambda match: json.loads(f'"{match[0]}"'), text).replace("\t", " ")
