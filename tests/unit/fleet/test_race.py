"""Several writers of one retained document: nobody's change is lost, and the gateway ends with what is retained."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.fleet.document import Document, Leaf, edited, parse_document, render
from gateway.fleet.faults import Conflict
from gateway.fleet.race import MOST_TRIES, Race, Standing
from tests.unit.fleet.replica import Replica

NOW = 1795000000000


class Topic:
    """The broker's one topic: keeps the last document, gives all to everybody in one order."""

    def __init__(self, retained: Document) -> None:
        self.retained = retained
        self.queues: list[deque[Document]] = []
        self.gateway = Replica()
        self.gateway.take(retained)

    def join(self) -> deque[Document]:
        queue = deque([self.retained])
        self.queues.append(queue)
        return queue

    def publish(self, document: Document) -> None:
        parsed = parse_document(render(document))
        assert parsed is not None
        self.retained = parsed
        self.gateway.take(parsed)
        for queue in self.queues:
            queue.append(parsed)


class Writer:
    """One Fleet that changes the document: reads, publishes, mends, until it is sure. `stays`: it goes on looking."""

    def __init__(self, topic: Topic, edits: dict[str, Any], floor: int = 0, *, stays: bool = True) -> None:
        self.topic = topic
        self.edits = edits
        self.stays = stays
        self.race = Race(edits, floor=floor, by=f"w{len(topic.queues)}")
        self.queue = topic.join()
        self.heard = self.published = self.sure = False

    def step(self, random: Random) -> None:
        """Hear the next message, or act on what was heard so far while others are under way."""
        if self.queue and (not self.heard or random.random() < 0.5):
            self.heard = True
            self.race.see(self.queue.popleft())
        elif not self.published:
            self.published = True
            self.topic.publish(self.race.first(NOW))
        elif self.race.standing() is Standing.OVERWROTE:
            self.topic.publish(self.race.again(NOW))
        self.sure = self.race.standing() in {Standing.HELD, Standing.OVERRULED}
        if self.sure:
            self.race.settled()

    @property
    def patient(self) -> bool:
        """Whether it gives another writer a moment to mend what it did."""
        return self.published and not self.queue and self.race.standing() is Standing.OVERWRITTEN

    def lose_patience(self) -> None:
        self.topic.publish(self.race.again(NOW))

    @property
    def done(self) -> bool:
        return self.published and self.sure and not (self.stays and self.queue)


def play(topic: Topic, writers: list[Writer], random: Random) -> None:
    """Let them take turns. A moment of patience is longer than any message takes."""
    for _ in range(5000):
        waiting = [writer for writer in writers if not writer.done]
        if not waiting:
            return
        busy = [writer for writer in waiting if not writer.patient]
        if busy:
            random.choice(busy).step(random)
        else:
            random.choice(waiting).lose_patience()
    raise AssertionError("they never agree")


PATHS = ["mode", "fan", "setpoints.temp", "setpoints.flow", "a.b.c"]
VALUES = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from(["auto", "manual"]), st.just([1, 2]))
EDITS = st.dictionaries(st.sampled_from(PATHS), st.one_of(VALUES, st.none()), min_size=1, max_size=3)


@settings(max_examples=400)
@given(
    base=st.dictionaries(st.sampled_from(PATHS), VALUES),
    edits=st.lists(EDITS, min_size=2, max_size=2),
    stays=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_two_writers_of_anything_agree_with_each_other_and_with_the_gateway(
    base: dict[str, Any], edits: list[dict[str, Any]], stays: bool, seed: int
) -> None:
    start = Document(5, {path: Leaf(value, 5, NOW) for path, value in base.items()})
    topic = Topic(start)
    writers = [Writer(topic, each, stays=stays) for each in edits]
    play(topic, writers, Random(seed))
    retained = topic.retained.values()
    for path in PATHS:
        wanted = [each[path] for each in edits if path in each]
        if not wanted:
            assert retained.get(path) == base.get(path), f"{path} was nobody's to change"
        else:
            assert retained.get(path) in wanted
    assert topic.gateway.values() == retained, "the gateway has what is retained"
    assert all(leaf.ver <= topic.retained.ver for leaf in topic.retained.leaves.values())


@settings(max_examples=300)
@given(count=st.integers(2, 3), stays=st.booleans(), seed=st.integers(0, 2**32))
def test_no_change_of_several_writers_of_leaves_of_their_own_is_lost(count: int, stays: bool, seed: int) -> None:
    topic = Topic(Document(5, {"keep": Leaf(0, 5, NOW)}))
    writers = [Writer(topic, {f"w{number}": number}, stays=stays) for number in range(count)]
    play(topic, writers, Random(seed))
    assert topic.retained.values() == {"keep": 0, **{f"w{number}": number for number in range(count)}}
    assert topic.gateway.values() == topic.retained.values()


@settings(max_examples=200)
@given(floors=st.lists(st.integers(0, 12), min_size=2, max_size=3), seed=st.randoms())
def test_writers_that_know_different_versions_of_the_gateway_agree_too(floors: list[int], seed: Random) -> None:
    topic = Topic(Document(5, {"keep": Leaf(1, 3, NOW)}))
    writers = [Writer(topic, {f"w{number}": number}, floor) for number, floor in enumerate(floors)]
    play(topic, writers, seed)
    lost = {f"w{number}" for number in range(len(floors))} - topic.retained.values().keys()
    assert all(writer.race.overruled() for writer in writers if writer.edits.keys() & lost), "lost, and not told"
    assert topic.retained.values()["keep"] == 1
    assert topic.gateway.values() == topic.retained.values()


def test_the_model_notices_writers_that_do_not_look_what_they_overwrote() -> None:
    """A planted defect: without it the tests above would prove nothing."""
    topic = Topic(Document(1))
    first, second = Race({"a": 1}), Race({"b": 2})
    for race in (first, second):
        race.see(topic.retained)
    topic.publish(first.first(NOW))
    topic.publish(second.first(NOW))
    assert topic.retained.values() == {"b": 2}


def _race(*, base: Document, edits: dict[str, Any], **options: Any) -> tuple[Race, Document]:
    race = Race(edits, **options)
    race.see(base)
    return race, race.first(NOW)


def test_a_writer_alone_publishes_once() -> None:
    race, mine = _race(base=Document(11, {"fan": Leaf(True, 4, 7)}), edits={"mode": "auto"})
    assert race.standing() is Standing.UNSEEN
    race.see(mine)
    assert race.standing() is Standing.HELD
    assert (race.tries, mine.ver) == (1, 12)
    assert mine.leaves == {"fan": Leaf(True, 4, 7), "mode": Leaf("auto", 12, NOW)}
    assert race.wanted() == {"mode": 12}


def test_the_gateways_version_is_never_used_again() -> None:
    """A broker that was restored from a copy must not make a version twice."""
    assert _race(base=Document(3), edits={"mode": "auto"}, floor=40)[1].ver == 41


def test_the_last_in_the_order_mends_what_it_overwrote() -> None:
    base = Document(5, {"keep": Leaf(0, 2)})
    race, mine = _race(base=base, edits={"a": 1})
    race.see(edited(base, {"b": 2}, 6, NOW))
    race.see(mine)
    assert race.standing() is Standing.OVERWROTE
    again = race.again(NOW + 1)
    assert again == Document(7, {"a": Leaf(1, 6, NOW), "b": Leaf(2, 6, NOW), "keep": Leaf(0, 2)})
    race.see(again)
    assert race.standing() is Standing.HELD
    assert race.wanted() == {"a": 6}, "the leaf is not written twice at the device"


def test_a_writer_that_does_not_look_is_mended_by_the_one_it_overwrote() -> None:
    base = Document(5)
    race, mine = _race(base=base, edits={"a": 1})
    race.see(mine)
    race.settled()
    race.see(edited(base, {"b": 2}, 6, NOW))
    assert race.standing() is Standing.OVERWRITTEN
    assert race.again(NOW).values() == {"a": 1, "b": 2}


def test_a_later_version_with_another_value_is_the_later_writers_right() -> None:
    race, mine = _race(base=Document(5), edits={"a": 1, "b": 1})
    race.see(mine)
    race.settled()
    race.see(edited(mine, {"a": 2}, 7, NOW))
    assert race.standing() is Standing.OVERRULED
    assert race.overruled() == {"a": 7}
    assert race.wanted()["b"] == 6


def test_the_same_value_written_again_by_another_is_waited_for_at_its_version() -> None:
    race, mine = _race(base=Document(5), edits={"a": 1})
    race.see(mine)
    race.settled()
    race.see(edited(mine, {"a": 1}, 9, NOW))
    assert race.standing() is Standing.HELD
    assert race.wanted() == {"a": 9}


def test_if_ver_is_compared_with_the_retained_document() -> None:
    race = Race({"a": 1}, if_ver=4)
    race.see(Document(5))
    with pytest.raises(Conflict, match="version 5, not at 4"):
        race.first(NOW)
    assert race.tries == 0


def test_a_change_with_if_ver_that_came_second_is_taken_back() -> None:
    base = Document(5, {"a": Leaf(0, 3)})
    gateway = Replica()
    race, mine = _race(base=base, edits={"a": 1}, if_ver=5)
    other = edited(base, {"b": 2}, 6, NOW)
    race.see(other)
    race.see(mine)
    assert race.standing() is Standing.OVERWROTE
    undone = race.again(NOW, without_ours=True)
    assert undone.values() == {"a": 0, "b": 2}
    for document in (base, other, mine, undone):
        gateway.take(document)
    assert gateway.values() == {"a": 0, "b": 2}, "at the gateway as well"


def test_documents_of_older_versions_take_nothing_back() -> None:
    base = Document(5, {"a": Leaf(0, 5), "b": Leaf(0, 2)})
    race, mine = _race(base=base, edits={"c": 1})
    race.see(Document(2, {"a": Leaf(9, 1)}))
    race.see(mine)
    assert race.standing() is Standing.HELD


def test_a_fight_without_end_is_given_up_with_a_clear_error() -> None:
    base = Document(5)
    race, mine = _race(base=base, edits={"a": 1})
    with pytest.raises(Conflict, match=f"given up after {MOST_TRIES} tries"):
        for number in range(100):
            race.see(edited(base, {"a": 2 + number}, mine.ver, NOW))
            race.see(mine)
            assert race.standing() is Standing.OVERWROTE
            mine = race.again(NOW)


def test_a_flood_of_documents_is_given_up_too() -> None:
    race, _ = _race(base=Document(5), edits={"a": 1})
    with pytest.raises(Conflict):
        for number in range(1000):
            race.see(Document(6, {"b": Leaf(number, 6)}))
