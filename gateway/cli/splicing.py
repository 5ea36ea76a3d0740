"""Changes of a YAML text at their places: what is not changed stays as it is written, to the last space.

The parser's marks tell where each value stands; only those stretches are replaced. The result is parsed again and must
hold exactly what was wanted, else nothing is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.errors import GatewayError
from gateway.settings.nodes import MappingNode, Node, ScalarNode
from gateway.settings.positions import Problems
from gateway.settings.yaml_reader import read_documents
from gateway.settings.yaml_writer import entry, flow

_BLOCK_LEVELS = 3
"""`devices`, a device, its `tags` are written as blocks; what is below in one line."""

Splice = tuple[int, int, str]


_LONG_LINE = 120


class Removed:
    """Stands for a key that goes."""


class Merge(dict[str, Any]):
    """Changes inside a mapping: a value (any plain data), a Merge of what is below, or Removed."""


def splice(file: str, raw: bytes, number: int, wanted: Merge) -> bytes:
    """`raw` with the changes in its document `number` (empty ones do not count). Raises GatewayError."""
    text = raw.decode("utf-8-sig")
    documents = [each for each in read_documents(file, text, Problems()) if each.data is not None]
    work = _Work(text)
    work.mapping(documents[number].node, documents[number].data, wanted, 0)
    done = work.done()
    expected = [merged(each.data, wanted) if i == number else each.data for i, each in enumerate(documents)]
    found = [each.data for each in read_documents(file, done, Problems()) if each.data is not None]
    if found != expected:
        raise GatewayError(f"{file} is written in a way that cannot be changed by a command: change it by hand")
    mark = b"\xef\xbb\xbf" if raw.startswith(b"\xef\xbb\xbf") else b""
    return mark + done.encode()


def merged(data: Any, wanted: Merge) -> dict[str, Any]:
    """What data become by the changes."""
    result = dict(data) if isinstance(data, dict) else {}
    for key, want in wanted.items():
        if want is Removed:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), want) if isinstance(want, Merge) else want
    return result


class _Work:
    """The stretches of one text that are replaced."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._splices: list[Splice] = []

    def done(self) -> str:
        pieces, at = [], 0
        for start, end, new in sorted(self._splices, key=lambda each: each[:2]):  # at one place: as they were put
            pieces += [self._text[at:start], new]
            at = end
        return "".join([*pieces, self._text[at:]])

    def mapping(self, node: Node, data: Mapping[str, Any], wanted: Merge, level: int) -> None:
        """Changes of a mapping that is not empty; `data` is what it holds."""
        assert isinstance(node, MappingNode)
        known = {key.value: (key, value) for key, value in node.value}
        gone = [key for key, want in wanted.items() if want is Removed and key in known]
        fresh = {key: plain(want) for key, want in wanted.items() if key not in known and want is not Removed}
        if len(gone) == len(known) or (gone and node.flow_style):
            self._write_anew(node, data, wanted, gone)
            return
        for key in gone:
            self._remove(*known[key])
        for key, want in wanted.items():
            if key in known and want is not Removed:
                self._replace(node, known[key], data[key], want, level)
        if fresh and node.flow_style:
            at = _end(node.value[-1][1])
            self._put(at, at, "".join(f", {entry(key, value)}" for key, value in fresh.items()))
        elif fresh:
            at = self._line_end(_end(node.value[-1][1]))
            indent = node.value[0][0].start_mark.column
            lines = [line for key, value in fresh.items() for line in block(key, value, indent, level + 1)]
            self._put(at, at, "".join(self._newline + line for line in lines))

    def _replace(self, parent: MappingNode, pair: tuple[Node, Node], old: Any, want: Any, level: int) -> None:
        key, value = pair
        if isinstance(want, Merge) and isinstance(old, dict) and old:
            if self._outgrows(parent, value, old, want, level):
                lines = self._unfolded(value, old, want, parent.value[0][0].start_mark.column + 2, level + 2)
                self._put(key.end, _end(value), ":" + self._newline + self._newline.join(lines))
            else:
                self.mapping(value, old, want, level + 1)
            return
        new = plain(want)
        if not old and isinstance(new, dict) and new and level < _BLOCK_LEVELS and not parent.flow_style:
            lines = block(key.value, new, parent.value[0][0].start_mark.column, level + 1)
            self._put(key.end, _end(value), ":" + self._newline + self._newline.join(lines[1:]))
            return
        start, end = value.start, _end(value)
        self._put(start, end, flow(new) if end > start else f" {flow(new)}")

    def _outgrows(self, parent: MappingNode, node: Node, old: Mapping[str, Any], want: Merge, level: int) -> bool:
        """Whether a mapping in one line, without comments, would be far longer: nobody could review the change."""
        if level >= _BLOCK_LEVELS or parent.flow_style or not (isinstance(node, MappingNode) and node.flow_style):
            return False
        text = self._text[node.start : _end(node)]
        return not {"\n", "#"} & set(text) and len(flow(merged(old, want))) > max(_LONG_LINE, 2 * len(text))

    def _unfolded(self, node: Node, data: Mapping[str, Any], want: Merge, indent: int, level: int) -> list[str]:
        """The lines of a block instead of a mapping in one line; entries that stay are as they were written."""
        assert isinstance(node, MappingNode)
        lines: list[str] = []
        result = merged(data, want)
        for key, value in node.value:
            name, own = key.value, self._text[key.start : _end(key)]
            if name not in want:
                lines.append(" " * indent + self._text[key.start : _end(value)])
            elif level <= _BLOCK_LEVELS and isinstance(want[name], Merge) and isinstance(value, MappingNode):
                below = self._unfolded(value, data[name], want[name], indent + 2, level + 1)
                lines += [f"{' ' * indent}{own}:", *below] if below else [f"{' ' * indent}{own}: {{}}"]
            elif name in result:
                lines += block(name, result[name], indent, level)
        return lines + [
            line for name in result if name not in data for line in block(name, result[name], indent, level)
        ]

    def _remove(self, key: Node, value: Node) -> None:
        """An entry of a block: from the end of the line before it."""
        before = self._text.rfind("\n", 0, key.start)
        if self._text[before - 1 : before] == "\r":
            before -= 1
        self._put(max(before, 0), self._line_end(_end(value)), "")

    def _write_anew(self, node: MappingNode, data: Mapping[str, Any], wanted: Merge, gone: list[str]) -> None:
        """A mapping in one line: entries that stay as they are written, others new."""
        entries = [
            self._text[key.start : _end(value)]
            if key.value not in wanted
            else entry(key.value, merged(data, wanted)[key.value])
            for key, value in node.value
            if key.value not in gone
        ]
        entries += [entry(key, value) for key, value in merged(None, wanted).items() if key not in data]
        self._put(node.start, _end(node), "{" + ", ".join(entries) + "}")

    def _line_end(self, at: int) -> int:
        end = self._text.find("\n", at)
        end = len(self._text) if end < 0 else end
        return end - 1 if self._text[end - 1 : end] == "\r" else end

    def _put(self, start: int, end: int, new: str) -> None:
        self._splices.append((start, end, new))


def _end(node: Node) -> int:
    """Where a node's own text ends: a block's mark stands behind the comments that follow it."""
    if not isinstance(node, ScalarNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return node.end


def plain(want: Any) -> Any:
    """A change as data, where nothing was before."""
    return merged(None, want) if isinstance(want, Merge) else want


def block(key: str, value: Any, indent: int, level: int) -> list[str]:
    """An entry of a block mapping, in lines."""
    space = " " * indent
    if not isinstance(value, dict) or not value or level > _BLOCK_LEVELS:
        return [space + entry(key, value)]
    below = [line for name, each in value.items() for line in block(name, each, indent + 2, level + 1)]
    return [f"{space}{flow(key)}:", *below]
