from tests.unit.runtime.support import bound, channel, tag


def test_a_tag_keeps_slot_and_alias_over_a_reload_that_changes_its_spec():
    table, (device,) = bound(channel(tag("speed"), tag("level")))
    before = {t.path: (t.slot, t.alias) for t in device.tags}
    _, (again,) = bound(channel(tag("level", unit="m"), tag("speed"), tag("new")), table=table)
    # aliases come from the store; here they are given in the new order, slots are the table's own
    assert {t.path: t.slot for t in again.tags if t.path != "new"} == {p: s for p, (s, _) in before.items()}
    assert table.find("pump.new").slot == 2
    assert table.find("pump.level").spec.unit == "m"


def test_a_removed_channel_leaves_no_tag_behind_and_gives_its_slots_to_nobody():
    table, (device,) = bound(channel(tag("speed")))
    slot = device.tags[0].slot
    table.release("line1")
    assert table.find("pump.speed") is None
    assert table.by_slot(slot) is None
    bound(channel(tag("flow"), id="line2", device="meter"), table=table)
    assert table.find("meter.flow").slot != slot


def test_every_change_of_the_table_is_seen_in_its_version():
    table, _ = bound(channel(tag("speed")))
    seen = table.version
    bound(channel(tag("speed")), table=table)
    assert table.version > seen
