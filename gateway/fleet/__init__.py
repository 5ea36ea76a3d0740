"""The operator's side, over any MQTT broker. `Fleet` is where to begin; docs/how-to/fleet.md shows each call."""

from gateway.fleet.desired import SetResult
from gateway.fleet.faults import BrokerAway, BrokerRefuses, Conflict, FleetError, NoAnswer
from gateway.fleet.fleet import Fleet
from gateway.fleet.planning import Intent, Plan
from gateway.fleet.results import Result
from gateway.fleet.rollout import Limits, Rollout
from gateway.fleet.roster import DeviceInfo, GatewayInfo, TagInfo
from gateway.fleet.selecting import Selector
from gateway.fleet.shadows import Shadow
from gateway.fleet.targets import named_target
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
    "Intent",
    "LeafResult",
    "Limits",
    "NoAnswer",
    "Plan",
    "Result",
    "Rollout",
    "Selector",
    "SetResult",
    "Shadow",
    "TagInfo",
    "named_target",
]
