"""Tags that stay here (`local`): no uplink carries them, and its proof is complete all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.journal import AliasRow
from gateway.latest import LatestValues
from gateway.model import Batch, Block, ChannelSpec, DeviceSpec, Schedule, TagSpec, ValueType
from gateway.runtime.views import FlatFeed, Model
from gateway.tags import TagTable
from gateway.testing import ManualClock
from tests.unit.uplink.virtual import JournalModel, VirtualRig


@pytest.fixture
async def rig() -> AsyncIterator[VirtualRig]:
    made = VirtualRig()
    yield made
    await made.stop()


class Keeping(JournalModel):
    """A model in which one tag stays here."""

    @property
    def rows(self):
        return [row for row in super().rows if row.tag != "secret"]


@pytest.mark.parametrize("codec", ["json", "native"])
async def test_no_message_names_a_local_tag_and_every_number_is_accounted_for(rig: VirtualRig, codec: str) -> None:
    for count in range(20):
        rig.journal.add("pump", {"speed": count, "secret": 1000 + count}, commit=False)
        rig.journal.add("pump", {"secret": 2000 + count}, commit=False)
    rig.journal.commit()
    model = Keeping(rig.journal)
    await rig.start(codec=codec, model=lambda: model)
    rig.journal.add("pump", {"secret": 3000, "speed": 99})
    await rig.clock.advance(5)
    assert rig.journal.finished["telemetry"] == set(range(1, 63))
    sent = b"".join(message.payload for message in rig.broker.published)
    assert b"secret" not in sent
    if codec == "json":
        bodies = rig.broker.bodies("up/telemetry")
        values = [value for body in bodies for batch in body["batches"] for value in batch["values"].items()]
        assert values == [("speed", count) for count in (*range(20), 99)]
        numbers = [batch["seq"] for body in bodies for batch in body["batches"]]
        assert numbers == [*range(1, 61, 3), 62], "each value has the number that it has in the journal"


async def test_a_tag_that_becomes_local_is_left_out_from_then_on(rig: VirtualRig) -> None:
    views = [JournalModel(rig.journal), Keeping(rig.journal)]
    now = [views[0]]
    await rig.start(model=lambda: now[0])
    rig.journal.add("pump", {"speed": 1, "secret": 1})
    await rig.clock.advance(3)
    now[0] = views[1]
    rig.journal.add("pump", {"speed": 2, "secret": 2})
    await rig.clock.advance(3)
    values = [batch["values"] for body in rig.broker.bodies("up/telemetry") for batch in body["batches"]]
    assert values == [{"speed": 1, "secret": 1}, {"speed": 2}]


def world() -> tuple[TagTable, LatestValues, Block]:
    clock = ManualClock()
    specs = (TagSpec("open", ValueType.UINT16, None), TagSpec("kept", ValueType.UINT16, None, local=True))
    channel = ChannelSpec("line", "sim", None, (DeviceSpec("pump", None, specs, Schedule(1.0)),))
    tags, latest = TagTable(), LatestValues(clock)
    (device,) = tags.bind(channel, {("pump", "open"): 1, ("pump", "kept"): 2})
    latest.grow(tags.size)
    block = Block("pump", device.tags)
    latest.on_batch(Batch(block, [5, 6], 1, 1.0))
    return tags, latest, block


def test_the_birth_and_flat_topics_do_not_know_them() -> None:
    tags, latest, block = world()
    aliases = {
        1: AliasRow(1, "pump", "open", True),
        2: AliasRow(2, "pump", "kept", True),
        3: AliasRow(3, "pump", "gone", False),
    }
    model = Model(tags, lambda: (), lambda: aliases, lambda: 7)
    assert [(row.tag, row.type) for row in model().rows] == [("open", "uint16"), ("gone", "")]
    feed = FlatFeed(tags, latest)
    assert [row.tag for row in feed.current()] == ["open"]
    assert feed.get(block.tags[1].slot) is None
