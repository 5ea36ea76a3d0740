"""A compiled expression, and the function it becomes for given slots."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType
from typing import Any

from msgspec import Struct

from gateway.model import Value
from gateway.rulebook import ExpressionError, FindTag
from rules.expression.columns import Columns
from rules.expression.guard import check_tree
from rules.expression.meant import tags_of
from rules.expression.names import Names
from rules.expression.runtime import HELPERS, Latch
from rules.expression.shape import Tree
from rules.expression.tokens import tokenise
from rules.expression.types import Type
from rules.expression.writer import Writer
from rules.windows import Window, WindowSpec

Run = Callable[[list[Value], list[int], Columns, int], Value]
"""(values, quality codes, columns, now in ms on the boot clock) to the result. Lists by slot."""

_PLACES = re.compile(r"\bT(\d+)\b")
_FIGURES = re.compile(r"w(\d+)_([a-z]+)\Z")


class Bound:
    """An expression at work on given slots. `run` gives its value, or None where it has none now.

    `slots`: all that it names; `needs`: those that must be good; `windows`: those it reads, somebody else fills them.
    """

    __slots__ = ("_latches", "needs", "run", "slots", "windows")

    def __init__(
        self, run: Run, slots: list[int], needs: list[int], windows: list[Window], latches: list[Latch]
    ) -> None:
        self.run = run
        self.slots = slots
        self.needs = needs
        self.windows = windows
        self._latches = latches

    def state(self) -> list[bool]:
        """What it remembers: its hysteresis latches."""
        return [latch.is_on for latch in self._latches]

    def restore(self, state: Any) -> None:
        """Go on from `state()`. A state that is not of this expression is left alone."""
        if not isinstance(state, list) or len(state) != len(self._latches):
            return
        for latch, is_on in zip(self._latches, state, strict=True):
            latch.is_on = is_on is True


class Program(Struct, frozen=True):
    """A checked expression. `type`: bool, number or text. `tags`: full names in the order of the text, each once.

    `needs`: those of them that must be good for a result. `has_age`: the result may change by time alone.
    `on_every_reading`: it must run on each reading, also on one that changes nothing.
    `source`: the generated function, in which T0 stands for the slot of the first tag.
    """

    text: str
    type: str
    tags: tuple[str, ...]
    needs: tuple[str, ...]
    windows: tuple[WindowSpec, ...]
    has_age: bool
    on_every_reading: bool
    source: str
    constants: tuple[Any, ...] = ()
    latches: int = 0

    def bind(self, slots: Mapping[str, int], windows: Callable[[WindowSpec], Window], *, keep: int) -> Bound:
        """The expression over `slots` (by full name). A need whose quality code is `keep` or more has no value: 64 for
        what acts on good values only, 128 for what takes uncertain ones, too.
        """
        places = [slots[name] for name in self.tags]
        source = _PLACES.sub(lambda found: str(places[int(found[1])]), self.source).replace("KEEP", str(keep))
        latches = [Latch() for _ in range(self.latches)]
        used = [windows(spec) for spec in self.windows]
        code = _function(source)
        names: dict[str, Any] = {"__builtins__": {}}
        for name in code.co_names:
            figure = _FIGURES.match(name)
            if name in HELPERS:
                names[name] = HELPERS[name]
            elif figure is not None:
                names[name] = getattr(used[int(figure[1])], figure[2])
        names |= {f"K{number}": value for number, value in enumerate(self.constants)}
        names |= {f"L{number}": latch.see for number, latch in enumerate(latches)}
        needs = [slots[name] for name in self.needs]
        return Bound(FunctionType(code, names), places, needs, used, latches)


def compile_expression(text: str, device: str, find: FindTag, *, condition: bool) -> Program:
    """Check `text` and prepare it. `device`: whose tags a name without a device means, or empty.

    `condition`: it has to be true or false. Raises ExpressionError, and nothing else, whatever the text is.
    """
    names = Names(device, find)
    tokens = [names.admit(token) for token in tokenise(text)]
    tree = Tree(tokens)
    check_tree(tree)
    named = tags_of(names, tokens)
    try:
        return _program(text, Writer(tree, named), condition=condition)
    except RecursionError:
        raise ExpressionError("it is nested too deeply", 0) from None


def _program(text: str, writer: Writer, *, condition: bool) -> Program:
    root = writer.tree.root
    code = writer.truth(root, "a condition") if condition else writer.exact(writer.visit(root))
    if code.type is Type.BYTES:
        writer.fail(root, "bytes are no result", "compare them with `==`")
    return Program(
        text=text,
        type=code.type.value,
        tags=tuple(writer.tags),
        needs=tuple(name for number, name in enumerate(writer.tags) if number in writer.needs),
        windows=tuple(writer.windows),
        has_age=writer.has_age,
        on_every_reading=writer.on_every_reading,
        source=_source(writer, code.text, code.type),
        constants=tuple(writer.constants),
        latches=len(writer.latches),
    )


def _source(writer: Writer, result: str, type: Type) -> str:
    lines = ["def run(v, q, c, at):"]
    # Python is quicker with a comparison for each than with one over all of them joined by `|`.
    conditions = [f"q[T{number}] >= KEEP" for number in sorted(writer.needs)]
    conditions += [f"v[T{number}] is None" for number in sorted(writer.exact_tags & writer.needs)]
    if conditions:
        lines += [f"    if {' or '.join(conditions)}:", "        return None"]
    lines += ["    try:"]
    for number, (x, low, high) in enumerate(writer.latches):
        lines += [
            "        try:",
            f"            h{number} = L{number}({x}, {low}, {high})",
            "        except FAULTS:",
            f"            h{number} = None",
        ]
    if type is Type.BOOL:
        lines += [f"        if {result}:", "            return True", "        return False"]
    else:
        lines += [f"        return {type.value}({result})"]
    lines += ["    except FAULTS:", "        return None"]
    return "\n".join(lines)


def _function(source: str) -> CodeType:
    module = compile(source, "<expression>", "exec", dont_inherit=True)
    return next(part for part in module.co_consts if isinstance(part, CodeType))
