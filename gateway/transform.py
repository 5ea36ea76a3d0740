"""Raw values to engineering values and back: columnar, compiled once per block, for every driver.

Order as in EdgeX (device-sdk-go transform): mask, shift, base, scale, offset. Where EdgeX answers 0 or an overflow
because the result does not fit the wire type, the result here is a wider number: an integer stays an integer while
scale and offset are whole, else the tag's values are floats, always (`engineering_kind`). A tag that wants EdgeX'
own results (`Transform.edgex`) has them from gateway/edgexmath.py.

Decimal scales of integer wire types are exact: 251 with scale 0.1 is the float next to 25.1, for every input.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from msgspec.structs import replace

from gateway.errors import WriteRejected
from gateway.inverse import exponent_of, unshifted, written_bits
from gateway.model import Quality, TagSpec, Transform, Value, ValueType
from gateway.rawtype import RAW, RawType

Scalar = Callable[[Any], tuple[Value, int]]
"""One raw value to (value, quality code)."""

Column = Callable[[Sequence[Any]], tuple[Sequence[Value], Sequence[int] | None]]
"""Raw values of a block, aligned with its tags, to (values, quality codes or None when all are good)."""

_GOOD = int(Quality.GOOD)
_SENSOR = int(Quality.BAD_SENSOR)
_RANGE = int(Quality.BAD_RANGE)
_UNPROCESSABLE = 422
_MAX_FLOAT32 = 3.4028234663852886e38
_MAX_FLOAT64 = 1.7976931348623157e308
_MAX_RATIO = 10**12  # decimal scales beyond this are computed in floats


def engineering_kind(raw: RawType, transform: Transform) -> str:
    """`float`, `int`, or `as-is` for what is no number. Depends on settings only, never on a value."""
    if raw.bits in {0, 1}:
        return "as-is"
    if transform.edgex is not None:
        return "float" if RAW[transform.edgex].is_float else "int"
    if raw.is_float or transform.base is not None:
        return "float"
    whole = all(x is None or float(x).is_integer() for x in (transform.scale, transform.offset))
    return "int" if whole else "float"


# --- one value -------------------------------------------------------------------------------------------------


def _exact(number: float | None, default: int) -> Fraction:
    return Fraction(default) if number is None else Fraction(repr(float(number)))


def _bitwise_source(raw: RawType, transform: Transform, name: str) -> str:
    """Expression of mask and shift. Right shifts keep the sign, left shifts drop what leaves the type's width."""
    text = name
    if transform.mask is not None:
        text = f"({text} & {transform.mask})"
        if raw.signed and transform.mask >> (raw.bits - 1):
            text = _wrap_source(raw, text)
    if transform.shift > 0:
        text = f"({text} >> {transform.shift})"
    elif transform.shift < 0:
        text = _wrap_source(raw, f"({text} << {-transform.shift})")
    return text


def _wrap_source(raw: RawType, text: str) -> str:
    full, half = (1 << raw.bits) - 1, 1 << (raw.bits - 1)
    if not raw.signed:
        return f"({text} & {full})"
    return f"((({text} & {full}) ^ {half}) - {half})"


def expression(raw: RawType, transform: Transform, name: str) -> str:
    """Python source of the engineering value of raw value `name`. Built from numbers of the settings only."""
    kind = engineering_kind(raw, transform)
    if kind == "as-is":
        return name
    text = _bitwise_source(raw, transform, name)
    scale, offset = transform.scale, transform.offset
    if raw.is_float or transform.base is not None:
        if transform.base is not None:
            text = f"{float(transform.base)!r} ** {text}"
        if scale is not None:
            text = f"({text}) * {float(scale)!r}"
        return text if offset is None else f"{text} + {float(offset)!r}"
    factor, addend = _exact(scale, 1), _exact(offset, 0)
    if kind == "int":
        if factor != 1:
            text = f"{text} * {factor.numerator}"
        return text if addend == 0 else f"{text} + {addend.numerator}"
    # one fraction, so that Python's correctly rounded division of integers is the only rounding
    divisor = math.lcm(factor.denominator, addend.denominator)
    up, plus = int(factor * divisor), int(addend * divisor)
    if max(divisor, abs(up), abs(plus)) > _MAX_RATIO:
        return f"{text} * {float(factor)!r} + {float(addend)!r}"
    product = text if up == 1 else f"{text} * {up}"
    return f"({product} + {plus}) / {divisor}" if plus else f"{product} / {divisor}"


def sentinels(raw: RawType, transform: Transform) -> tuple[int | float, ...]:
    """Raw values that mean "no value", as the wire type delivers them: 0xFFFF of an int16 is -1."""
    found: list[int | float] = []
    for mark in transform.invalid:
        found.append(_on_wire(raw, mark))
        if raw.signed and not raw.is_float and isinstance(mark, int) and raw.high < mark < 1 << raw.bits:
            found.append(mark - (1 << raw.bits))
    return tuple(found)


def _on_wire(raw: RawType, number: float) -> int | float:
    """A number as it comes back from a device: a float32 is not the decimal number that was written."""
    return array("f", [number])[0] if raw.is_float and raw.bits == 32 else number


def scalar(raw: RawType, transform: Transform, limits: tuple[float, float] | None = None) -> Scalar:
    """The transform of one value. `limits`: a value outside is kept and marked bad/range."""
    marks = frozenset(sentinels(raw, transform))
    if transform.edgex is not None:
        from gateway import edgexmath  # few need it, and each module costs memory

        compute = edgexmath.reader(transform, transform.edgex)
    else:
        compute = _compile_value(expression(raw, transform, "x"))
    low, high = limits if limits is not None else (-math.inf, math.inf)

    def convert(x: Any) -> tuple[Value, int]:
        if x in marks:
            return None, _SENSOR
        if isinstance(x, float) and not math.isfinite(x):
            return None, _SENSOR
        try:
            value = compute(x)
        except (OverflowError, ZeroDivisionError):
            return None, _RANGE
        if isinstance(value, float) and not math.isfinite(value):
            return None, _RANGE
        if limits is not None and not low <= value <= high:
            return value, _RANGE
        return value, _GOOD

    return convert


def _compile_value(source: str) -> Callable[[Any], Any]:
    return eval(f"lambda x: {source}", {"__builtins__": {}})  # type: ignore[no-any-return]  # noqa: S307 - from numbers


# --- a factor from another tag ----------------------------------------------------------------------------------

_MOST_EXPONENT = 10


def is_exponent(value: object) -> bool:
    """Whether a scale factor's value can be one: SunSpec allows powers of ten from -10 to 10."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MOST_EXPONENT


def with_exponent(spec: TagSpec, exponent: int) -> TagSpec:
    """The spec with the factor 10 ** exponent in its scale."""
    scale = _exact(spec.transform.scale, 1) * Fraction(10) ** exponent
    return replace(spec, transform=replace(spec.transform, scale=float(scale)), scale_from=None)


def _scaled(specs: Sequence[TagSpec]) -> Column:
    """The transform of a block in which some tags take their factor from another one: `scale_from`.

    A value is computed as if its factor were a fixed scale, so 2413 with -1 is the float next to 241.3. It is always a
    float, whatever the factor: a tag keeps its type.
    """
    paths = {spec.path: i for i, spec in enumerate(specs)}
    pairs = [(i, paths[spec.scale_from]) for i, spec in enumerate(specs) if spec.scale_from is not None]
    scaled = {i for i, _ in pairs}
    plain = column([_PASSED if i in scaled else spec for i, spec in enumerate(specs)])
    known: dict[tuple[int, int], Scalar] = {}

    def convert_one(i: int, exponent: int, raw: Any) -> tuple[Value, int]:
        convert = known.get((i, exponent))
        if convert is None:
            spec = specs[i]
            fixed = with_exponent(spec, exponent).transform
            convert = known[i, exponent] = scalar(RAW[spec.type], fixed, _limits(spec))
        value, code = convert(raw)
        return (float(value), code) if isinstance(value, int) else (value, code)

    def convert(raws: Sequence[Any]) -> tuple[Sequence[Value], Sequence[int] | None]:
        values, codes = (raws, None) if plain is None else plain(raws)
        out, quality = list(values), list(codes) if codes is not None else [_GOOD] * len(raws)
        for i, factor in pairs:
            exponent = values[factor]
            good = is_exponent(exponent) and quality[factor] == _GOOD
            out[i], quality[i] = convert_one(i, int(exponent), raws[i]) if good else (None, _SENSOR)  # type: ignore[arg-type]
        return out, quality if any(quality) else None

    return convert


_PASSED = TagSpec("", ValueType.UINT16, None)
"""Stands for a tag whose raw value goes through untouched."""


# --- as EdgeX computes -------------------------------------------------------------------------------------------


def _with_edgex(specs: Sequence[TagSpec]) -> Column:
    """The transform of a block in which some tags are computed as EdgeX does: those one by one, the rest as ever."""
    strict = {
        i: scalar(RAW[spec.type], spec.transform, _limits(spec))
        for i, spec in enumerate(specs)
        if spec.transform.edgex is not None
    }
    plain = column([_PASSED if i in strict else spec for i, spec in enumerate(specs)])

    def convert(raws: Sequence[Any]) -> tuple[Sequence[Value], Sequence[int] | None]:
        values, codes = (raws, None) if plain is None else plain(raws)
        out, quality = list(values), list(codes) if codes is not None else [_GOOD] * len(raws)
        for i, compute in strict.items():
            out[i], quality[i] = compute(raws[i])
        return out, quality if any(quality) else None

    return convert


# --- a block ---------------------------------------------------------------------------------------------------


def _limits(spec: TagSpec) -> tuple[float, float] | None:
    return spec.range if RAW[spec.type].bits > 1 else None


def is_plain(spec: TagSpec) -> bool:
    """Whether raw and engineering value are the same object for every input: nothing to compute, nothing to test."""
    raw = RAW[spec.type]
    plain = not raw.is_float and raw.most is None
    return plain and spec.transform.is_identity and spec.scale_from is None and _limits(spec) is None


def column(specs: Sequence[TagSpec]) -> Column | None:
    """The transform of a block, or None when every tag is plain: raw values are the values.

    The common case, all good, is one straight line of generated code; anything else takes the scalar way.
    """
    if any(spec.transform.edgex is not None for spec in specs):
        return _with_edgex(specs)
    if any(spec.scale_from is not None for spec in specs):
        return _scaled(specs)
    if all(is_plain(spec) for spec in specs):
        return None
    scalars: list[Scalar] = []

    def careful(raws: Sequence[Any]) -> tuple[Sequence[Value], Sequence[int] | None]:
        if not scalars:  # most blocks never need them, and those of thousands of tags are megabytes
            scalars.extend(scalar(RAW[spec.type], spec.transform, _limits(spec)) for spec in specs)
        pairs = [convert(x) for convert, x in zip(scalars, raws, strict=True)]
        values, codes = [value for value, _ in pairs], [code for _, code in pairs]
        return values, codes if any(codes) else None

    return _compile_column(specs, careful)


def _compile_column(specs: Sequence[TagSpec], careful: Column) -> Column:
    """Straight-line code: unpack, compute, one test for anything that is not good, return."""
    raws = ", ".join(f"r{i}" for i in range(len(specs)))
    results, tests = [], []
    lines = ["def convert(raws):", f"    {raws}, = raws", "    try:", "        pass"]
    for i, spec in enumerate(specs):
        raw = RAW[spec.type]
        source = expression(raw, spec.transform, f"r{i}")
        name = f"r{i}" if source == f"r{i}" else f"v{i}"
        if name != f"r{i}":
            lines.append(f"        {name} = {source}")
        results.append(name)
        tests.extend(_tests(spec, raw, f"r{i}", name))
    lines.append("    except ArithmeticError:")
    lines.append("        return careful(raws)")
    if tests:
        lines.append(f"    if {' or '.join(tests)}:")
        lines.append("        return careful(raws)")
    lines.append(f"    return [{', '.join(results)}], None")
    scope: dict[str, Any] = {
        "careful": careful,
        "inf": math.inf,
        "__builtins__": {"ArithmeticError": ArithmeticError},
    }
    exec(compile("\n".join(lines), "<transform>", "exec"), scope)  # noqa: S102 - built from numbers only
    convert: Column = scope["convert"]
    return convert


def _tests(spec: TagSpec, raw: RawType, raw_name: str, name: str) -> list[str]:
    """Conditions under which a value of this tag is not plainly good."""
    tests = [f"{raw_name} == {mark!r}" for mark in sentinels(raw, spec.transform) if mark == mark]  # noqa: PLR0124
    limits = _limits(spec)
    if raw.most is not None:
        tests.append(f"{raw_name} != {raw_name}")
    if engineering_kind(raw, spec.transform) == "float":
        tests.append(f"{name} - {name} != 0.0")  # true for NaN and the infinities only
    if limits is not None:
        tests.append(f"not {float(limits[0])!r} <= {name} <= {float(limits[1])!r}")
    return tests


# --- writing ---------------------------------------------------------------------------------------------------


def to_raw(spec: TagSpec, value: Value) -> int | float | bool:
    """The raw value that means `value`: offset and scale undone, rounded to the nearest step of an integer type.

    Raises WriteRejected (422) for what the wire type cannot hold and for a sentinel of the tag.
    """
    raw = RAW[spec.type]
    if raw.bits == 1:
        return _to_bool(spec, value)
    if isinstance(value, bool) or not isinstance(value, int | float) or raw.bits == 0:
        raise _refused(spec, f"{value!r} is no number")
    if not math.isfinite(value):
        raise _refused(spec, f"{value!r} is no finite number")
    factor, addend = _exact(spec.transform.scale, 1), _exact(spec.transform.offset, 0)
    # a value that is not scaled goes through untouched: a fraction has no -0.0
    as_is = float(value) if raw.is_float and factor == 1 and addend == 0 else None
    if spec.transform.edgex is not None:
        from gateway import edgexmath

        found = edgexmath.write(spec, spec.transform.edgex, value)
        exact, as_is = Fraction(found), float(found) if raw.is_float else None
    else:
        exact = (Fraction(repr(value)) - addend) / factor
        if spec.transform.base is not None:
            exact, as_is = _exponent(spec, raw, exact, value), None
    number = _to_float(spec, raw, exact, as_is) if raw.is_float else _to_int(spec, raw, exact, value)
    if written_bits(spec) is None and _on_wire(raw, number) in sentinels(raw, spec.transform):
        raise _refused(spec, f"{value!r} is the mark of an invalid value")
    return number


def _to_bool(spec: TagSpec, value: Value) -> bool:
    if isinstance(value, bool) or (isinstance(value, int) and value in {0, 1}):
        return bool(value)
    raise _refused(spec, f"{value!r} is neither true nor false")


def _exponent(spec: TagSpec, raw: RawType, exact: Fraction, value: float) -> Fraction:
    try:
        return exponent_of(spec.transform, exact, raw)
    except (ValueError, OverflowError) as error:
        raise _refused(spec, f"{value!r} is no power of {spec.transform.base}: {error}") from None


def _to_int(spec: TagSpec, raw: RawType, exact: Fraction, value: float) -> int:
    number = round(exact)
    if spec.transform.mask is not None or spec.transform.shift:
        try:
            return unshifted(spec.transform, number, raw)
        except ValueError as error:
            raise _refused(spec, f"{value!r} does not fit: {error}") from None
    if not raw.low <= number <= raw.high:
        raise _refused(spec, f"{value!r} does not fit: raw {number} is outside {raw.low} to {raw.high}")
    return number


def _to_float(spec: TagSpec, raw: RawType, exact: Fraction, as_is: float | None) -> float:
    try:
        number = float(exact) if as_is is None else as_is
    except OverflowError:
        number = math.inf
    if abs(number) > (_MAX_FLOAT32 if raw.bits == 32 else _MAX_FLOAT64):
        raise _refused(spec, f"{number!r} does not fit a {spec.type.value}")
    return number


def _refused(spec: TagSpec, text: str) -> WriteRejected:
    return WriteRejected(f"{spec.path}: {text}", code=_UNPROCESSABLE)


__all__ = ["RAW", "Column", "RawType", "Scalar", "column", "engineering_kind", "expression"]
__all__ += ["is_exponent", "is_plain", "scalar", "sentinels", "to_raw", "with_exponent"]
