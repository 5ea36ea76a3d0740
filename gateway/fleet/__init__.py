"""The operator's side, over any MQTT broker. `Fleet` is where to begin; docs/how-to/fleet.md shows each call."""

from gateway.fleet.desired import SetResult
from gateway.fleet.faults import BrokerAway, BrokerRefuses, Conflict, FleetError, NoAnswer
from gateway.fleet.fleet import Fleet
from gateway.fleet.results import Result
from gateway.fleet.roster import DeviceInfo, GatewayInfo, TagInfo
from gateway.fleet.shadows import Shadow
from gateway.fleet.verdicts import LeafResult
from gateway.fleet.watching import Change

__all__ = [
    "BrokerAway",
    "BrokerRefuses",
    "Change",
    "Conflict",
    "DeviceInfo",
    "Fleet",
    "FleetError",
    "GatewayInfo",
    "LeafResult",
    "NoAnswer",
    "Result",
    "SetResult",
    "Shadow",
    "TagInfo",
]
