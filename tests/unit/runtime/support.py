"""Small makers for tests of tags, latest values and commands."""

from gateway.model import Access, ChannelSpec, DeviceSpec, Schedule, TagSpec, ValueType, WriteLimits
from gateway.tags import TagTable


def tag(path, type=ValueType.UINT16, **words):
    return TagSpec(path, type, source=None, **words)


def channel(*tags, id="line1", device="pump"):
    return ChannelSpec(id, "sim", None, (DeviceSpec(device, None, tags, Schedule(1.0)),))


def bound(spec, first_alias=1, table=None):
    table = table or TagTable()
    names = TagTable.names([spec])
    devices = table.bind(spec, {name: first_alias + i for i, name in enumerate(names)})
    return table, devices


WRITABLE = {"access": Access.READ_WRITE}
LIMITED = {"access": Access.READ_WRITE, "write": WriteLimits(minimum=0, maximum=100, rate=(2, 60.0))}
