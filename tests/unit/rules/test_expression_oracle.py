"""Random valid expressions give what an evaluator of its own, which shares nothing with the compiler, makes of them."""

from __future__ import annotations

import math
import operator

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.rules.expression_kit import SLOTS, Known, compiled, new_window

# An expression is a tuple (what, ...). Each has a type by the strategy that made it.
FLOATS = ("temperature", "pressure", "power")
INTS = ("level", "mode")
BOOLS = ("burner", "{in}", "pump.run")
TEXTS = ("status", "recipe")
CALCULATE = {
    "+": (operator.add, 5),
    "-": (operator.sub, 5),
    "*": (operator.mul, 6),
    "/": (operator.truediv, 6),
    "//": (operator.floordiv, 6),
    "%": (operator.mod, 6),
}
COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
FUNCTIONS = {
    "abs": abs,
    "sqrt": math.sqrt,
    "min": min,
    "max": max,
    "round": round,
    "clamp": lambda x, low, high: clamped(x, low, high),
    "scale": lambda x, a, b, c, d: c + (x - a) * (d - c) / (b - a),
}
ARITY = {"abs": 1, "sqrt": 1, "min": 2, "max": 3, "round": 1, "clamp": 3, "scale": 5}
NUMBERS = st.one_of(st.integers(0, 300), st.sampled_from([0.5, 3.5, 80.0, 1e3, 2**53 + 1, 2**63]))


def clamped(x, low, high):
    if low > high:
        raise ValueError
    return low if x < low else high if x > high else x


def literal(value):
    return ("literal", value)


def calculation(numbers):
    return st.tuples(st.just("calculate"), st.sampled_from(sorted(CALCULATE)), numbers, numbers).filter(
        lambda node: not (node[1] in {"/", "//", "%"} and is_zero(node[3]))
    )


def is_zero(node):
    return constant(node) == 0


def constant(node):
    """The value of a constant as the compiler knows it, else None."""
    if node[0] == "literal":
        return node[1]
    inner = constant(node[1]) if node[0] == "minus" else None
    return None if inner is None else -inner


def is_refused(name, parts):
    """Ranges that are none are refused at load."""
    if name not in {"clamp", "scale"}:
        return False
    low, high = constant(parts[1]), constant(parts[2])
    return low is not None and high is not None and (low > high if name == "clamp" else low == high)


def function(numbers):
    return (
        st.sampled_from(sorted(ARITY))
        .flatmap(lambda name: st.tuples(st.just("call"), st.just(name), st.tuples(*[numbers] * ARITY[name])))
        .filter(lambda node: not is_refused(node[1], node[2]))
    )


def choice(conditions, values):
    return st.tuples(st.just("choice"), values, conditions, values)


LITERALS = {
    "number": NUMBERS.map(literal),
    "bool": st.booleans().map(literal),
    "text": st.sampled_from(["", "fault", "a'b", 'a"b', "°C \\"]).map(literal),
}
LEAVES = {
    "number": st.one_of(st.sampled_from([*FLOATS, *INTS]).map(lambda tag: ("tag", tag)), LITERALS["number"]),
    "bool": st.one_of(st.sampled_from(BOOLS).map(lambda tag: ("tag", tag)), LITERALS["bool"]),
    "text": st.one_of(st.sampled_from(TEXTS).map(lambda tag: ("tag", tag)), LITERALS["text"]),
}


def chains(sides, signs):
    return st.lists(st.tuples(st.sampled_from(signs), sides), min_size=1, max_size=3).flatmap(
        lambda rest: sides.map(lambda first: ("chain", first, tuple(rest)))
    )


def trees(depth):
    """Strategies of numbers and of conditions that are at most so deep."""
    if depth == 0:
        return LEAVES["number"], LEAVES["bool"]
    numbers, bools = trees(depth - 1)
    either = st.one_of(numbers, bools)
    return (
        st.one_of(
            LEAVES["number"],
            calculation(either),
            st.tuples(st.just("minus"), either),
            function(either),
            choice(bools, numbers),
        ),
        st.one_of(
            LEAVES["bool"],
            st.tuples(st.sampled_from(["and", "or"]), bools, bools),
            st.tuples(st.just("not"), bools),
            chains(either, sorted(COMPARE)),
            chains(LEAVES["text"], ["==", "!="]),
            st.tuples(st.sampled_from(["in", "not in"]), numbers, st.lists(NUMBERS, min_size=1, max_size=3).map(tuple)),
            st.tuples(st.just("holds"), LEAVES["text"], st.sampled_from(TEXTS).map(lambda tag: ("tag", tag))),
            choice(bools, bools),
        ),
    )


NUMBER_TREES, BOOL_TREES = trees(3)
LEVELS = {"choice": 0, "or": 1, "and": 2, "not": 3, "chain": 4, "in": 4, "not in": 4, "holds": 4, "minus": 7}


def written(node):
    """(text, how tightly it binds), with as few parentheses as the usual precedence needs."""
    what = node[0]
    if what == "literal":
        return spelled(node[1]), 8
    if what == "tag":
        return node[1], 8
    if what == "calculate":
        level = CALCULATE[node[1]][1]
        return f"{within(node[2], level)} {node[1]} {within(node[3], level + 1)}", level
    if what == "call":
        return f"{node[1]}({', '.join(written(part)[0] for part in node[2])})", 8
    return composed(node), LEVELS[what]


def composed(node):
    what = node[0]
    if what == "minus":
        return f"-{within(node[1], 7)}"
    if what == "not":
        return f"not {within(node[1], 3)}"
    if what in {"and", "or"}:
        level = LEVELS[what]
        return f"{within(node[1], level)} {what} {within(node[2], level)}"
    if what == "choice":
        return f"{within(node[1], 1)} if {within(node[2], 1)} else {within(node[3], 0)}"
    if what == "chain":
        return within(node[1], 5) + "".join(f" {sign} {within(side, 5)}" for sign, side in node[2])
    if what == "holds":
        return f"{within(node[1], 5)} in {within(node[2], 5)}"
    return f"{within(node[1], 5)} {what} ({', '.join(spelled(one) for one in node[2])},)"


def within(node, level):
    text, own = written(node)
    return text if own >= level else f"({text})"


def spelled(value):
    if isinstance(value, bool):
        return "true" if value else "False"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def evaluate(node, tags):
    what = node[0]
    if what == "literal":
        return node[1]
    if what == "tag":
        return tags[node[1]]
    if what == "calculate":
        return CALCULATE[node[1]][0](evaluate(node[2], tags), evaluate(node[3], tags))
    if what == "call":
        return FUNCTIONS[node[1]](*(evaluate(part, tags) for part in node[2]))
    if what == "minus":
        return -evaluate(node[1], tags)
    if what == "choice":
        return evaluate(node[1] if evaluate(node[2], tags) else node[3], tags)
    return judged(node, tags)


def judged(node, tags):
    what = node[0]
    if what == "not":
        return not evaluate(node[1], tags)
    if what == "and":
        return evaluate(node[1], tags) and evaluate(node[2], tags)
    if what == "or":
        return evaluate(node[1], tags) or evaluate(node[2], tags)
    if what == "holds":
        return evaluate(node[1], tags) in evaluate(node[2], tags)
    if what == "chain":
        left = evaluate(node[1], tags)
        for sign, side in node[2]:
            right = evaluate(side, tags)
            if not COMPARE[sign](left, right):
                return False
            left = right
        return True
    found = any(evaluate(node[1], tags) == one for one in node[2])
    return found if what == "in" else not found


def expected(node, tags, kind):
    try:
        result = evaluate(node, tags)
    except (ArithmeticError, ValueError):
        return None
    if kind == "bool":
        return bool(result)
    if isinstance(result, float):
        return result if math.isfinite(result) else None
    return int(result) if -(2**63) <= result < 2**64 else None


VALUES = st.fixed_dictionaries(
    {
        **{tag: st.floats(allow_nan=False) | st.sampled_from([0.0, 80.0, 3.5]) for tag in FLOATS},
        **{tag: st.integers(-(2**63), 2**63) | st.integers(-3, 300) for tag in INTS},
        **{tag: st.booleans() for tag in BOOLS},
        **{tag: st.sampled_from(["", "fault", "a'b", "°C \\"]) for tag in TEXTS},
    }
)


def known(tags):
    plant = Known()
    for tag, value in tags.items():
        name = tag.strip("{}")
        plant.values[SLOTS[name if "." in name else f"boiler.{name}"]] = value
    return plant


def check(node, tags, kind):
    text = written(node)[0]
    if len(text) > 1000:
        return
    bound = compiled(text, condition=kind == "bool").bind(SLOTS, new_window, keep=64)
    result, wanted = known(tags).run(bound), expected(node, tags, kind)
    assert (result, type(result)) == (wanted, type(wanted)), text
    assert isinstance(wanted, float) is False or math.copysign(1, wanted) == math.copysign(1, result)


@settings(max_examples=500, deadline=None)
@given(BOOL_TREES, VALUES)
def test_a_condition_is_what_the_oracle_says(node, tags):
    check(node, tags, "bool")


@settings(max_examples=500, deadline=None)
@given(NUMBER_TREES, VALUES)
def test_a_number_is_what_the_oracle_says(node, tags):
    kind = compiled(text).type if len(text := written(node)[0]) <= 1000 else "number"
    check(node, tags, kind)
