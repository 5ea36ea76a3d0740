"""The read planner: counts that were promised, invariants on random tags, the optimum against brute force."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.address import Address, Range, Table
from drivers.modbus.planner import plan_runs
from drivers.modbus.point import Limits, Point
from drivers.modbus.requests import plan_requests
from tests.drivers.modbus.kit import channel_of, device_of, tag_spec

NO_LIMITS = Limits(registers=125, bits=2000, gap=16, forbidden=())


def requests_of(specs, **options):
    device = device_of(specs, **options)
    return plan_requests(channel_of(device), device, device.tags)


def points(draw, table: Table, last: int):
    sizes = [1] if table.is_bits else [1, 1, 2, 4]
    place = st.tuples(st.integers(0, last), st.sampled_from(sizes))
    return [Point(Address(table, offset), size, "", "auto") for offset, size in draw(st.lists(place, max_size=40))]


@st.composite
def jobs(draw):
    """Points of all tables, limits, and forbidden ranges that no point lies on."""
    wanted = [p for table in Table for p in points(draw, table, 300)]
    limits = Limits(draw(st.integers(4, 130)), draw(st.integers(1, 2100)), draw(st.integers(0, 30)), ())
    banned = draw(
        st.lists(
            st.builds(
                lambda t, a, n: Range(t, a, a + n), st.sampled_from(list(Table)), st.integers(0, 300), st.integers(0, 5)
            )
        )
    )
    free = [
        b for b in banned if not any(b.table is p.address.table and b.overlaps(p.address.offset, p.end) for p in wanted)
    ]
    return wanted, Limits(limits.registers, limits.bits, limits.gap, tuple(free))


def test_fl_25_100_contiguous_registers_are_one_request():
    assert [
        (r.detail.start, r.detail.count) for r in requests_of([tag_spec(f"t{i}", f"holding/{i}") for i in range(100)])
    ] == [(0, 100)]


def test_fl_25_100_registers_with_30_gaps_and_one_forbidden_range_are_two_requests_that_avoid_it():
    used = [a for a in range(130) if a % 4 != 1 or a < 10][:100]
    used = [a for a in used if not 60 <= a <= 61]
    requests = requests_of([tag_spec(f"t{a}", f"holding/{a}") for a in used], forbidden=("holding/60-61",))
    assert len(requests) == 2
    asked = {r.detail.start + i for r in requests for i in range(r.detail.count)}
    assert not asked & {60, 61}


def test_fl_25_111_mixed_tags_within_230_registers_are_at_most_three_requests():
    specs, at, kinds = [], 0, ["uint16", "float32", "int32", "uint16", "float64", "bool", "int16"]
    for i in range(111):
        kind = kinds[i % len(kinds)]
        address = f"holding/{at}.{i % 16}" if kind == "bool" else f"holding/{at}"
        specs.append(tag_spec(f"t{i}", address, kind))
        at += {"float32": 2, "int32": 2, "float64": 4}.get(kind, 1) + (i % 9 == 0)
    assert at <= 230
    requests = requests_of(specs)
    assert len(requests) <= 3
    assert sorted(tag.path for r in requests for tag in r.block.tags) == sorted(s.path for s in specs)


def test_bits_of_one_register_and_overlapping_values_share_a_request():
    specs = [tag_spec(f"b{n}", f"holding/5.{n}", "bool") for n in range(16)]
    specs += [
        tag_spec("word", "holding/5"),
        tag_spec("long", "holding/4", "uint32"),
        tag_spec("next", "holding/5", "float32"),
    ]
    assert [(r.detail.start, r.detail.count) for r in requests_of(specs)] == [(4, 3)]


def test_2000_coils_are_one_request_and_2001_are_two():
    assert len(requests_of([tag_spec(f"c{i}", f"coil/{i}", "bool") for i in range(2000)])) == 1
    assert len(requests_of([tag_spec(f"c{i}", f"coil/{i}", "bool") for i in range(2001)])) == 2


def test_every_second_of_8000_coils_are_four_requests():
    assert len(requests_of([tag_spec(f"c{i}", f"coil/{2 * i}", "bool") for i in range(4000)])) == 4


def test_all_bits_of_250_registers_are_two_requests():
    specs = [tag_spec(f"b{i}", f"holding/{i // 16}.{i % 16}", "bool") for i in range(4000)]
    requests = requests_of(specs)
    assert [r.detail.count for r in requests] == [125, 125]
    assert sum(len(r.block.tags) for r in requests) == 4000


def test_tables_are_never_mixed():
    specs = [
        tag_spec("a", "holding/0"),
        tag_spec("b", "input/0"),
        tag_spec("c", "coil/0", "bool"),
        tag_spec("d", "discrete/0", "bool"),
    ]
    assert [r.detail.code for r in requests_of(specs)] == [1, 2, 4, 3]


def test_a_gap_is_bridged_up_to_the_limit_and_not_beyond():
    near = [tag_spec("a", "holding/0"), tag_spec("b", "holding/17")]
    far = [tag_spec("a", "holding/0"), tag_spec("b", "holding/18")]
    assert len(requests_of(near)) == 1
    assert len(requests_of(far)) == 2
    assert len(requests_of(near, max_gap=15)) == 2


def test_a_cut_that_the_cap_forces_falls_into_the_widest_gap():
    specs = [tag_spec(f"t{a}", f"holding/{a}") for a in (*range(10), *range(20, 40), *range(41, 50))]
    requests = requests_of(specs, max_registers=40)
    assert [(r.detail.start, r.detail.count) for r in requests] == [(0, 10), (20, 30)]


def test_a_device_that_allows_60_registers_is_never_asked_for_more():
    requests = requests_of([tag_spec(f"t{i}", f"holding/{2 * i}", "float32") for i in range(100)], max_registers=60)
    assert [r.detail.count for r in requests] == [60, 60, 60, 20]


@given(jobs())
def test_fl_25_every_point_is_in_exactly_one_run_that_holds_it_whole_within_all_limits(job):
    wanted, limits = job
    runs = plan_runs(wanted, limits)
    assert sorted(i for run in runs for i in run.members) == list(range(len(wanted)))
    for run in runs:
        cap = min(limits.bits, 2000) if run.table.is_bits else min(limits.registers, 125)
        assert 1 <= run.count <= cap
        assert all(p.address.table is run.table for p in (wanted[i] for i in run.members))
        assert all(
            run.start <= wanted[i].address.offset and wanted[i].end <= run.start + run.count for i in run.members
        )
        assert not any(b.table is run.table and b.overlaps(run.start, run.start + run.count) for b in limits.forbidden)
    assert runs == plan_runs(wanted, limits)


@given(
    places=st.lists(st.tuples(st.integers(0, 30), st.sampled_from([1, 2, 4])), min_size=1, max_size=8),
    cap=st.integers(4, 20),
    gap=st.integers(0, 8),
)
def test_the_plan_is_as_cheap_as_the_best_of_all_divisions(places, cap, gap):
    wanted = [Point(Address(Table.HOLDING, offset), size, "", "auto") for offset, size in places]
    runs = plan_runs(wanted, Limits(cap, 2000, gap, ()))
    spans = sorted((offset, offset + size) for offset, size in places)

    def width(part):
        covered = sorted(part)
        end = covered[0][1]
        for low, high in covered[1:]:
            if low - end > gap:
                return None
            end = max(end, high)
        return end - covered[0][0] if end - covered[0][0] <= cap else None

    best = None
    for cuts in range(1 << (len(spans) - 1)):  # every way to cut the sorted row
        parts, part = [], [spans[0]]
        for i, span in enumerate(spans[1:]):
            if cuts >> i & 1:
                parts.append(part)
                part = []
            part.append(span)
        parts.append(part)
        widths = [width(part) for part in parts]
        if None not in widths and (best is None or (len(parts), sum(widths)) < best):
            best = (len(parts), sum(widths))
    assert (len(runs), sum(run.count for run in runs)) == best


def test_a_plan_does_not_depend_on_the_order_of_the_tags():
    specs = [tag_spec(f"t{i}", f"holding/{(37 * i) % 200}") for i in range(60)]
    texts = [r.text for r in requests_of(specs)]
    assert texts == [r.text for r in requests_of(specs[::-1])]
