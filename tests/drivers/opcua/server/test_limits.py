"""What one client may ask for at once and hold: too much is refused before it costs anything, the rest is in pieces."""

from __future__ import annotations

import pytest
from asyncua import Client, ua

from drivers.opcua.server import SPEC, limits
from drivers.opcua.server.settings import ServerSettings
from gateway.model import TagSpec, ValueType
from tests.drivers.opcua.server.test_server import OPEN, operator, plant, session
from tests.support.serving import Plant, device

FOLDER = ua.NodeId(ua.ObjectIds.ObjectsFolder)


class Deaf:
    def datachange_notification(self, *_: object) -> None: ...


def describe(node: ua.NodeId) -> ua.BrowseDescription:
    return ua.BrowseDescription(NodeId=node, IncludeSubtypes=True, ResultMask=63)


async def read(client: Client, count: int) -> list[ua.DataValue]:
    item = ua.ReadValueId(NodeId=FOLDER, AttributeId=ua.AttributeIds.DisplayName)
    return list(await client.uaclient.read(ua.ReadParameters(NodesToRead=[item] * count)))


async def write(client: Client, count: int) -> list[ua.StatusCode]:
    item = ua.WriteValue(FOLDER, ua.AttributeIds.Value, Value=ua.DataValue(ua.Variant(1)))
    return list(await client.uaclient.write(ua.WriteParameters([item] * count)))


async def browse(client: Client, count: int) -> list[ua.BrowseResult]:
    return list(await client.uaclient.browse(ua.BrowseParameters(NodesToBrowse=[describe(FOLDER)] * count)))


async def translate(client: Client, count: int) -> list[ua.BrowsePathResult]:
    path = ua.BrowsePath(FOLDER, ua.RelativePath([ua.RelativePathElement(TargetName=ua.QualifiedName("pump", 1))]))
    return list(await client.uaclient.translate_browsepaths_to_nodeids([path] * count))


async def register(client: Client, count: int) -> list[ua.NodeId]:
    return list(await client.uaclient.register_nodes([FOLDER] * count))


async def monitor(client: Client, count: int) -> list[int | ua.StatusCode]:
    feed = await client.create_subscription(1000, Deaf())
    return list(await feed.subscribe_data_change([client.get_node("ns=1;s=pump.speed")] * count))


@pytest.mark.parametrize(
    ("service", "most", "name"),
    [
        (read, limits.READ, "MaxNodesPerRead"),
        (write, limits.WRITE, "MaxNodesPerWrite"),
        (browse, limits.BROWSE, "MaxNodesPerBrowse"),
        (translate, limits.PATHS, "MaxNodesPerTranslateBrowsePathsToNodeIds"),
        (register, limits.REGISTER, "MaxNodesPerRegisterNodes"),
        (monitor, limits.ITEMS, "MaxMonitoredItemsPerCall"),
    ],
)
async def test_as_many_as_are_announced_are_served_and_one_more_is_refused(tmp_path, service, most, name):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port, operator(port) as client:
        number = getattr(ua.ObjectIds, f"Server_ServerCapabilities_OperationLimits_{name}")
        assert await client.get_node(ua.NodeId(number)).read_value() == most
        assert len(await service(client, most)) == most
        with pytest.raises(ua.uaerrors.BadTooManyOperations):
            await service(client, most + 1)
        assert len(await read(client, 1)) == 1


async def test_a_long_folder_is_browsed_in_pieces_that_together_are_all(tmp_path):
    tags = [f"t{i:04}" for i in range(limits.REFERENCES + 30)]
    behind = Plant(device("pump", *(TagSpec(tag, ValueType.INT16, None) for tag in tags)))
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port, session(port) as client:
        (first,) = await client.uaclient.browse(ua.BrowseParameters(NodesToBrowse=[describe(ua.NodeId("pump", 1))]))
        assert len(first.References) == limits.REFERENCES
        assert first.ContinuationPoint
        children = await client.get_node("ns=1;s=pump").get_children()
        assert [child.nodeid.Identifier for child in children] == [f"pump.{tag}" for tag in tags]
        many = await client.uaclient.browse(
            ua.BrowseParameters(NodesToBrowse=[describe(ua.NodeId("pump", 1))] * limits.BROWSE)
        )
        assert sum(len(each.References) for each in many) == limits.REFERENCES
        gone = ua.BrowseNextParameters(ReleaseContinuationPoints=False, ContinuationPoints=[first.ContinuationPoint])
        (refused,) = await client.uaclient.browse_next(gone)  # pushed out by the many
        assert refused.StatusCode.value == ua.StatusCodes.BadContinuationPointInvalid


async def test_items_of_a_session_and_of_all_nameless_ones_are_bounded_and_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr("drivers.opcua.server.guard._ITEMS", 100)
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port, session(port) as client:
        made = await monitor(client, 60)
        assert sum(isinstance(item, int) for item in made) == 50
        assert {item.value for item in made[50:]} == {ua.StatusCodes.BadTooManyMonitoredItems}
        async with session(port) as other:
            assert not any(isinstance(item, int) for item in await monitor(other, 5))
        async with operator(port) as named:
            assert all(isinstance(item, int) for item in await monitor(named, 50))
        await client.disconnect()
        async with session(port) as other:
            assert all(isinstance(item, int) for item in await monitor(other, 50))


async def test_subscriptions_are_counted_for_each_session_and_none_is_faster_than_changes_are_told(tmp_path):
    behind = plant()
    settings = ServerSettings(**OPEN, update=200)
    async with behind.served(SPEC, settings, tmp_path) as port, session(port) as greedy, session(port) as other:
        for _ in range(limits.SUBSCRIPTIONS):
            feed = await greedy.create_subscription(1, Deaf())
            assert feed.parameters.RequestedPublishingInterval == 200
        with pytest.raises(ua.uaerrors.BadTooManySubscriptions):
            await greedy.create_subscription(1, Deaf())
        mine = await other.create_subscription(500, Deaf())
        (code,) = await greedy.uaclient.delete_subscriptions([mine.subscription_id])
        assert code.value == ua.StatusCodes.BadSubscriptionIdInvalid
        await mine.subscribe_data_change(other.get_node("ns=1;s=pump.speed"))
