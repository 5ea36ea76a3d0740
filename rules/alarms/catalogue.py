"""The system alarms: for each issue that the gateway can raise its priority, and what a person should do.

The issue itself says what exactly is wrong and how to repair it; these words stand in lists before one is open.
"""

from __future__ import annotations

from msgspec import Struct

from gateway.rulebook import AlarmSpec

GROUPS = (
    "device", "uplink", "journal", "disk", "cpu", "memory", "clock", "certificate", "update", "rule", "gateway",
)  # fmt: skip


class SystemAlarm(Struct, frozen=True):
    """The alarm of an issue. `id` is the issue's. `group`: one of GROUPS, for lists and filters, no first-out group.
    `of_device`: the issue's entity is a device.
    """

    id: str
    group: str
    priority: str
    text: str
    action: str
    of_device: bool = False


_DEVICES = (
    ("device_offline", "high", "The device does not answer", "Check power, cable, address and unit id"),
    ("device_flapping", "medium", "The device comes and goes", "Check cable, termination and the load of the device"),
    ("device_refuses", "medium", "The device refuses registers", "Correct the addresses of the tags"),
    ("device_maintenance", "diagnostic", "People work on the device", "End the maintenance when the work is done"),
    ("answers_late", "low", "The device answers after its time-out", "Set the time-out that the issue names"),
    ("ble_key", "medium", "Encrypted adverts of the device cannot be read", "Set its bind key"),
    ("opcua_no_events", "medium", "The server tells no events of a node", "Correct `events.source`"),
    ("unreadable_payloads", "medium", "Messages of the device cannot be read", "Correct `format`, `path` or `items`"),
    ("shadow_too_large", "low", "The reported document of the device is too large", "Raise `shadow.max_bytes`"),
)
_OTHERS = (
    ("device_discovered", "gateway", "diagnostic", "Discovered devices wait for approval", "Approve or reject them"),
    ("bus_overloaded", "device", "medium", "The polls of a channel need more time than its wire has",
     "Longer intervals, fewer tags, or another channel"),
    ("bluetooth_away", "device", "high", "D-Bus, BlueZ or the Bluetooth adapter cannot be used",
     "Start what the issue names, or plug the adapter in"),
    ("bluetooth_not_passive", "device", "diagnostic", "BlueZ refuses a passive scan: an active one runs",
     "Start bluetoothd with --experimental"),
    ("driver_stalled", "device", "high", "A call of a driver did not end", "Report it with the log"),
    ("driver_unavailable", "device", "high", "The driver of a channel cannot be loaded", "Install the driver"),
    ("tag_forced", "device", "low", "Tags have a value by hand, not the device's", "Release them after the work"),
    ("uplink_offline", "uplink", "medium", "The broker is not reachable; readings are kept",
     "Check the network, the broker and the cause that the issue names"),
    ("uplink_no_ack", "uplink", "high", "The consumer acknowledges nothing", "Start the consumer"),
    ("uplink_refused", "uplink", "high", "The broker refuses messages on a topic", "Allow the topic at the broker"),
    ("uplink_subscribe", "uplink", "high", "The broker refuses our subscription: commands do not arrive",
     "Allow the topic at the broker"),
    ("uplink_gap", "uplink", "high", "Readings were dropped before an EdgeX uplink had sent them",
     "Raise `store.journal.max_bytes`, or mend the link"),
    ("uplink_dead_letter", "uplink", "high", "The broker refused readings for good", "See the text of the issue"),
    ("uplink_birth", "uplink", "medium", "Consumers do not learn the tags", "Raise the broker's maximum packet size"),
    ("uplink_unrouted", "uplink", "medium", "Nobody subscribes to what is delivered", "Subscribe a consumer"),
    ("uplink_budget", "uplink", "low", "The day's byte budget is used up; readings wait",
     "Raise `rate.bytes_per_day`, or wait for midnight UTC"),
    ("twins_flooded", "uplink", "medium", "Twin messages are dropped: too many come at once",
     "Slow down the program that sends them"),
    ("uplink_topic", "uplink", "low", "A tag's topic is too long for the broker", "Shorten the template or the names"),
    ("cursor_unused", "uplink", "low", "Readings wait for an uplink that is not configured",
     "Configure it again, or forget it"),
    ("store_full", "journal", "urgent", "The journal has no room: new readings are only counted", "Free disk space"),
    ("store_dropped", "journal", "high", "Readings were dropped before they were delivered",
     "Repair the uplink, or make room"),
    ("store_damaged", "journal", "high", "A part of the journal could not be read", "Check the disk"),
    ("store_missing", "journal", "high", "The journal was gone at the start", "Find out what removed it"),
    ("store_quarantined", "journal", "high", "A damaged journal was moved aside", "Check the disk"),
    ("store_restored", "journal", "low", "The journal is a copy that was restored", "Nothing, if that was intended"),
    ("values_damaged", "journal", "low", "Last values could not be read at the start", "Check the disk"),
    ("disk_low", "disk", "medium", "The disk is nearly full", "Free disk space"),
    ("disk_critical", "disk", "urgent", "The disk is full, or will be very soon", "Free disk space now"),
    ("cpu_high", "cpu", "medium", "The processor is busy", "Longer intervals, or fewer tags"),
    ("cpu_critical", "cpu", "high", "The processor has no time left", "Longer intervals, or fewer tags"),
    ("loop_blocked", "cpu", "high", "The gateway was restarted because code had blocked it",
     "Disable the channel that the issue names, and report it"),
    ("memory_high", "memory", "medium", "Memory runs short", "See what else runs"),
    ("memory_critical", "memory", "high", "Memory is used up; the gateway may be ended", "See what else runs"),
    ("clock_unsynced", "clock", "medium", "The clock is not synchronised: times are not trustworthy",
     "Check the time server and the way to it"),
    ("clock_stepped", "clock", "low", "The clock was set while the gateway ran", "Find out what sets the clock"),
    ("certificate_expires", "certificate", "high", "A certificate expires soon", "Renew the certificate"),
    ("update_failed", "update", "high", "An update did not succeed; the older version runs", "See its report"),
    ("update_metadata_stale", "update", "medium", "The metadata of updates has expired: nothing new can be installed",
     "Publish new metadata, or see who keeps it from the gateway"),
    ("config_reverted", "update", "high", "A configuration was taken back", "Correct it and apply it again"),
    ("generations_damaged", "update", "low", "Damaged kept configurations were moved aside",
     "See what runs, and apply the folder again"),
    ("generations_unreadable", "update", "medium", "The kept configurations cannot be read", "Apply the folder again"),
    ("rules_failed", "rule", "urgent", "The rules engine has failed: no rule and no alarm works",
     "Restart the gateway, and report it with the log"),
    ("rule_failed", "rule", "high", "A rule has failed and was stopped", "Correct the rule; all others run"),
    ("rule_overrun", "rule", "high", "A rule took too long and was stopped", "Make the rule simpler; all others run"),
    ("rule_cycle", "rule", "high", "Rules set each other off in a circle and were cut", "Break the circle"),
    ("action_failed", "rule", "medium", "An action of a rule did not succeed", "See the text of the issue"),
    ("notify_failed", "rule", "medium", "A notification could not be delivered", "Check its address and credentials"),
    ("notify_limited", "rule", "medium", "Messages to people are held back by a limit", "See why so many alarms come"),
    ("broker_unreachable", "device", "high", "The broker of MQTT devices cannot be reached",
     "Check the broker, and the cause that the issue names"),
    ("client_id_taken", "device", "high", "Another program uses the MQTT client id of a channel",
     "Give each its own `client_id`"),
    ("subscriptions_refused", "device", "high", "The broker does not let us read topics of MQTT devices",
     "Allow them at the broker"),
    ("descriptions_left_out", "device", "medium", "More MQTT devices are described than are remembered",
     "See who publishes the descriptions"),
    ("message_too_large", "device", "medium", "Messages of MQTT devices are larger than allowed",
     "Raise `max_payload`"),
    ("waiting_for_the_disk", "journal", "high", "Messages of MQTT devices wait for the disk", "Free disk space"),
    ("opcua_server_state", "device", "medium", "An OPC UA server says that it is not running", "Look at the server"),
    ("opcua_server_untrusted", "device", "high", "Nobody trusts the certificate of an OPC UA server",
     "Compare its thumbprint, then trust it"),
    ("opcua_refuses_us", "device", "high", "An OPC UA server refuses our certificate", "Trust it at the server"),
    ("opcua_refuses_user", "device", "high", "An OPC UA server refuses our login", "Correct `identity`"),
    ("opcua_no_such_endpoint", "device", "high", "An OPC UA server does not offer what is asked for", "Set `security`"),
    ("opcua_certificates", "device", "high", "Certificate files of an OPC UA channel cannot be used",
     "Correct `security` or `identity`"),
    ("server_full", "gateway", "medium", "A server to the plant has no connection left for a client",
     "See who is connected"),
    ("server_login_refused", "gateway", "medium", "Somebody tries passwords at a server to the plant",
     "Find out who it is"),
    ("server_port", "gateway", "high", "A server to the plant has no port: HMIs and PLCs are not served",
     "See who has the port"),
    ("server_untrusted", "gateway", "low", "A client of a server to the plant was refused",
     "Trust its certificate if it is one of yours"),
    ("server_unavailable", "gateway", "high", "A server to the plant cannot be loaded", "Install its library"),
    ("unit_failed", "gateway", "high", "A part of the gateway crashed several times", "See the log"),
    ("unit_auth", "gateway", "high", "The other side refuses our identity", "Check user, password and certificate"),
    ("unit_stuck", "gateway", "high", "A part of the gateway did not end when told", "Restart the gateway"),
)  # fmt: skip

CATALOGUE: dict[str, SystemAlarm] = {
    **{
        id_: SystemAlarm(id_, "device", priority, text, action, of_device=True)
        for id_, priority, text, action in _DEVICES
    },
    **{id_: SystemAlarm(id_, group, priority, text, action) for id_, group, priority, text, action in _OTHERS},
}
"""By the id of the issue."""


MADE_BY_PEOPLE = frozenset(("device_maintenance",))
"""Issues that tell what people do: alarms only where the configuration asks for it."""


def spec_of(issue: str, entity: str) -> AlarmSpec | None:
    """The alarm that follows the issue of that id and entity. None for an issue that has no alarm."""
    found = CATALOGUE.get(issue)
    if found is None:
        return None
    return AlarmSpec(
        id=found.id,
        entity=entity,
        device=entity if found.of_device else "",
        priority=found.priority,
        text=found.text,
        action=found.action,
        issue=found.id,
    )
