"""Names of users survive: what changes is told, what is told is stable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.importing.names import Names, literal
from gateway.importing.report import Place, Report
from gateway.settings.ids import is_id, tag_path_fault

PLACE = Place("f.yaml", 3, 5, "name")


def names() -> tuple[Names, Report]:
    report = Report()
    return Names(report, "device"), report


def test_a_good_name_is_kept_and_nothing_is_told() -> None:
    made, report = names()
    assert made.id_of("Modbus-TCP_Test-1", PLACE) == "Modbus-TCP_Test-1"
    assert report.notes == []


def test_what_an_id_cannot_hold_is_mapped_and_told() -> None:
    made, report = names()
    assert made.id_of("Pumpe Nr. 1 (Süd)", PLACE) == "Pumpe_Nr__1__Sud_"
    assert "Pumpe Nr. 1 (Süd)" in report.notes[0].text
    assert report.notes[0].place == PLACE


def test_two_names_never_get_one_id_and_one_name_never_two() -> None:
    made, _ = names()
    assert [made.id_of(name, PLACE) for name in ("a b", "a.b", "a_b", "a b")] == ["a_b", "a_b_2", "a_b_3", "a_b"]


def test_folders_become_levels_and_too_many_are_joined() -> None:
    made, report = names()
    assert made.path_of("line.motor.temp", PLACE, ".") == "line/motor/temp"
    assert not report.notes
    assert made.path_of("a.b.c.d.e.f", PLACE, ".") == "a/b/c/d/e_f"
    assert [note.text for note in report.notes] == ["the device `a.b.c.d.e.f` is called `a/b/c/d/e_f` here"]
    assert made.path_of("plain.name", PLACE) == "plain_name"


def test_things_of_one_name_get_ids_of_their_own_in_their_order() -> None:
    made, report = names()
    assert [made.new_id(name, PLACE) for name in ("a", "a", "a_2", "a", "b c")] == ["a", "a_2", "a_2_2", "a_3", "b_c"]
    assert made.id_of("a", PLACE) == "a"
    assert {note.text for note in report.notes} == {
        "there is another device `a`: this one is called `a_2` here",
        "the device `a_2` is called `a_2_2` here",
        "there is another device `a`: this one is called `a_3` here",
        "the device `b c` is called `b_c` here",
    }


def test_a_tag_is_never_the_folder_of_another() -> None:
    made, _ = names()
    found = [made.path_of(name, PLACE, ".") for name in ("a.b", "a", "c", "c.d", "c.e")]
    assert found == ["a/b", "a_2", "c", "c_2/d", "c_2/e"]


class Counted(set[str]):
    """A set that counts how often it is asked."""

    asked = 0

    def __contains__(self, name: object) -> bool:
        self.asked += 1
        return super().__contains__(name)


@pytest.mark.parametrize("separator", ["", "."])
@pytest.mark.parametrize("text", ["{}", "x" * 62 + "\N{SNOWMAN}{}"], ids=["short", "cut"])
def test_the_work_grows_as_the_names_do_where_all_of_them_clash(text: str, separator: str) -> None:
    made, _ = names()
    made._taken = taken = Counted()
    signs = [text.format(chr(0x4E00 + number)) for number in range(3000)]
    found = [made.path_of(f"{sign}{separator}a" if separator else sign, PLACE, separator) for sign in signs]
    assert len(set(found)) == len(signs)
    assert taken.asked < 10 * len(signs)


def test_numbers_are_given_as_counting_would_and_none_is_left_out() -> None:
    made, _ = names()
    made.reserve("a_b_3")
    found = [made.id_of(f"a{chr(0x4E00 + number)}b", PLACE) for number in range(120)]
    assert found == ["a_b", *(f"a_b_{number}" for number in range(2, 122) if number != 3)]
    long = "y" * 80
    cut = [made.id_of(long + chr(0x4E00 + number), PLACE) for number in range(101)]
    assert cut[0] == "y" * 64
    assert cut[1:] == [f"{'y' * (63 - len(str(number)))}_{number}" for number in range(2, 102)]


@given(st.lists(st.text(max_size=80), max_size=12, unique=True), st.sampled_from(["", ".", "/"]))
def test_any_names_give_paths_that_are_right_unique_and_the_same_again(texts: list[str], separator: str) -> None:
    first, second = names()[0], names()[0]
    found = [first.path_of(text, PLACE, separator) for text in texts]
    assert found == [second.path_of(text, PLACE, separator) for text in texts]
    assert len(set(found)) == len(found)
    assert not [path for path in found if tag_path_fault(path)]
    assert not [one for one in found for other in found if other.startswith(f"{one}/")]


@given(st.lists(st.text(max_size=80), max_size=12, unique=True))
def test_any_names_give_ids_that_are_right_and_unique(texts: list[str]) -> None:
    made = names()[0]
    found = [made.id_of(text, PLACE) for text in texts]
    assert all(map(is_id, found))
    assert len(set(found)) == len(found)


def test_texts_of_people_are_neither_templates_nor_references() -> None:
    assert literal("{n} costs ${env:HOME}") == "{{n}} costs $ {{env:HOME}}"


def test_a_name_that_is_an_id_keeps_it_from_one_that_would_become_it() -> None:
    made, report = names()
    made.expect(["x y", "x/y", "x_y", "p q", "p.q"])
    assert [made.id_of(name, PLACE) for name in ("x y", "x/y", "x_y")] == ["x_y_2", "x_y_3", "x_y"]
    assert len(report.notes) == 2


def test_a_folder_of_a_good_path_is_no_tag_of_a_name_that_has_to_change() -> None:
    made, _ = names()
    made.expect(["p q", "p_q.r"], ".")
    assert [made.path_of(name, PLACE, ".") for name in ("p q", "p_q.r")] == ["p_q_2", "p_q/r"]


def test_a_name_that_is_a_tag_and_a_folder_of_good_paths_is_never_both() -> None:
    for order in (("a", "a.b"), ("a.b", "a")):
        made, _ = names()
        made.expect(order, ".")
        first, second = (made.path_of(name, PLACE, ".") for name in order)
        assert first == order[0].replace(".", "/")
        assert second in {"a_2/b", "a_2"}
