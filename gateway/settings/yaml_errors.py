"""The YAML parser's complaints in words that help, with the corrected line where it can be guessed."""

from __future__ import annotations

import re

import yaml

from gateway.errors import Problem

_PAIR = re.compile(r"^(?P<lead>\s*(?:- )?)(?P<key>[^\s:#][^:#]*?):\s+(?P<value>\S.*?)\s*$")
_UNSPACED = re.compile(r"(?P<lead>\s*(?:- )?)(?P<key>[a-z_][a-z0-9_.-]*):(?P<value>(?!//)[^\s:](?:[^:]|:(?!\s))*?)\s*$")
_CUT_INSIDE = re.compile(r"([\w./-]+):\s+(\{[^{}:,\"']*\}\s*[^\s,}\]#][^,}\]]*)")
_LONGEST = 1000
"""So much of a line is searched for what was meant: a longer one is no line that a person wrote."""
_KEY = re.compile(r"(\s*)([\w.-]+)\Z")
_BRACE = "a text that begins with a brace must be in quotes"
_SPECIAL = {
    "%": "a value cannot begin with `%`",
    "@": "a value cannot begin with `@`",
    "`": "a value cannot begin with a backtick",
}


def explain_syntax(file: str, text: str, error: yaml.YAMLError) -> Problem:
    """A Problem for what stopped the parser."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return _unreadable(file, text, error)
    said = str(getattr(error, "problem", "") or error)
    context = str(getattr(error, "context", "") or "")
    lines = text.splitlines()
    row, column = min(mark.line, max(len(lines) - 1, 0)), mark.column
    line = lines[row] if lines else ""
    key = getattr(error, "context_mark", None) if "simple key" in context else mark
    unspaced = _unspaced(lines, key.line, said) if key is not None else None
    if unspaced is not None:
        return Problem(file, *unspaced[0], "", *unspaced[1])
    message, hint = _words(said, context, line, column)
    if "mapping values are not allowed" in said and (above := _above(lines, row, column)):
        message, hint = "this line is indented further than the one above it", above
    start = getattr(error, "context_mark", None)
    opened_before = start is not None and start.line != mark.line
    if start is not None and (opened_before or "alias" in context):
        # What was opened and never closed is the place to look at, not where the parser gave up.
        if "quoted scalar" in context:
            message, hint = "this quote is never closed", "add the closing quote"
            row, column = start.line, start.column
        elif "flow" in context:
            bracket = "}" if "mapping" in context else "]"
            message, hint = f"this bracket is not closed by `{bracket}`", f"add `{bracket}`, or quotes around the text"
            row, column = start.line, start.column
        elif "alias" in context:
            row, column = start.line, start.column
    return Problem(file, row + 1, column + 1, "", message, hint)


def _unspaced(lines: list[str], row: int, said: str) -> tuple[tuple[int, int], tuple[str, str]] | None:
    """Place and words for `when:pump.run`, which is a text for YAML: it fails there or at the colon after it."""
    if "mapping values are not allowed" not in said and "could not find expected ':'" not in said:
        return None
    for number in (row, _row_above(lines, row)):
        match = _UNSPACED.match(lines[number][:_LONGEST]) if 0 <= number < len(lines) else None
        if match is not None:
            place = (number + 1, len(match["lead"]) + 1)
            return place, (f"a space is missing after `{match['key']}:`", f"write {match['key']}: {match['value']}")
    return None


def _above(lines: list[str], row: int, column: int) -> str:
    """The hint for a line that is indented below a pair that has its value already; empty where it is not."""
    key = _KEY.match(lines[row][:column]) if row < len(lines) else None
    number = _row_above(lines, row)
    pair = _PAIR.match(lines[number]) if number >= 0 else None
    if key is None or pair is None or len(key[1]) <= len(pair["lead"]):
        return ""
    return f"align `{key[2]}:` with `{pair['key']}:`"


def _row_above(lines: list[str], row: int) -> int:
    """The nearest line above `row` that says something; -1 where there is none."""
    above = range(min(row, len(lines)) - 1, -1, -1)
    return next((number for number in above if lines[number].split("#")[0].strip()), -1)


def _words(said: str, context: str, line: str, column: int) -> tuple[str, str]:
    char = line[column : column + 1]
    if inside := _CUT_INSIDE.search(line[:_LONGEST]):
        return _BRACE, f'put it in quotes: {inside[1]}: "{inside[2].strip()}"'
    if "cannot start any token" in said:
        if char == "\t":
            return "a tab cannot indent YAML", "indent with spaces"
        return _SPECIAL.get(char, f"a value cannot begin with `{char}`"), _quoted_from(line, column)
    if "scanning a tag" in context:
        return "YAML takes a leading `!` as a tag", "put it in quotes, or write `not` in an expression"
    if "alias" in context or "undefined alias" in said:
        return "YAML takes a leading `*` as an alias", _quoted_star(line, column)
    if cut := _cut_value(line):
        return cut, _quoted(line, whole=True)
    if "mapping values are not allowed" in said:
        if _PAIR.match(line) and ": " in line[: column + 2]:
            return "a text with `: ` must be in quotes", _quoted(line)
        return "a `key: value` cannot stand here", "check the indentation and the line above"
    if "',' or '}'" in said or "',' or ']'" in said:
        hint = 'inside { } and [ ] put texts with : , { } [ ] in quotes, such as "holding/{n}"'
        return "the text inside the brackets is cut here", hint
    if "expected '-' indicator" in said or "expected <block end>" in said:
        return "the indentation does not fit the lines above", "align it with its neighbours, with spaces only"
    return said, "see the lines around"


def _cut_value(line: str) -> str:
    """What is wrong with a value that is over for YAML before its line is: `{pump.speed} > 5`, `> 5`."""
    match = _PAIR.match(line)
    value = match["value"] if match else ""
    if re.match(r"\{[^{}]*\}\s*[^\s,#}\]]", value):
        return _BRACE
    if re.match(r"[>|][+-]?\d*\s+[^\s#]", value):
        return f"a value cannot begin with `{value[0]}`"
    quoted = re.match(r"""("[^"]*"|'[^']*')\s*[^\s,#}\]]""", value)
    return "the text goes on after its closing quote" if quoted else ""


def _quoted(line: str, *, whole: bool = False) -> str:
    """The pair of a line with its value in quotes. `whole`: also where it has quotes of its own inside."""
    match = _PAIR.match(line)
    if not match or (match["value"][0] in "\"'" and not whole):
        return "put the value in quotes"
    value, quote = match["value"], '"'
    if '"' in value:
        value, quote = value.replace("'", "''"), "'"
    return f"put it in quotes: {match['key']}: {quote}{value}{quote}"


def _quoted_from(line: str, column: int) -> str:
    """The value that begins at `column`, quoted together with its key; it may stand in a flow mapping."""
    key = re.search(r"([\w./-]+):\s+$", line[:column])
    if key is None:
        return _quoted(line)
    inside = line.count("{", 0, column) > line.count("}", 0, column)
    value = re.match(r"[^,}\]]*" if inside else r".*", line[column:])
    return f'put it in quotes: {key[1]}: "{value.group().strip() if value else ""}"'


def _quoted_star(line: str, column: int) -> str:
    star = line.rfind("*", 0, column + 1)
    word = re.match(r"(?:[\d*/,-]+ ){4}[\d*/,-]+|[^\s,\]}]*", line[star:]) if star >= 0 else None
    return f'put it in quotes: "{word.group()}"' if word else "put the value in quotes"


def _unreadable(file: str, text: str, error: yaml.YAMLError) -> Problem:
    position = getattr(error, "position", None)
    if not isinstance(position, int):
        return Problem(file, 1, 1, "", f"cannot be read as YAML: {error}")
    before = text.encode()[:position].decode("utf-8", "replace")  # libyaml counts bytes here
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    character = getattr(error, "character", 0)
    code = character if isinstance(character, int) else ord(character[:1] or "\0")
    return Problem(file, line, column, "", f"the control character U+{code:04X} is not accepted", "remove it")
