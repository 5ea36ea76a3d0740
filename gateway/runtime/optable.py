"""Puts the op table together: every op that this gateway serves, from the parts that serve them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.clock import boot_id
from gateway.runtime.alarmops import AlarmOps
from gateway.runtime.commandlog import CommandLog
from gateway.runtime.deviceops import DeviceOps
from gateway.runtime.discoveryops import DiscoveryOps
from gateway.runtime.gatewayops import GatewayOps
from gateway.runtime.looking import Looker
from gateway.runtime.ops import OpTable
from gateway.runtime.tagops import TagOps
from gateway.uplink.commanddesk import CommandDesk

if TYPE_CHECKING:
    from gateway.runtime.node import Node


def op_table(node: Node) -> OpTable:
    """The ops over one running node."""
    parts = (TagOps(node), DeviceOps(node), GatewayOps(node), AlarmOps(node), DiscoveryOps(node))
    return OpTable({name: op for part in parts for name, op in part.table().items()})


def serve_commands(node: Node) -> None:
    """Give the node its op table and the desk where commands by id are taken."""
    node.ops = op_table(node)
    node.desk = CommandDesk(CommandLog(node.store), node.ops, Looker(node), node.clock, boot_id())
