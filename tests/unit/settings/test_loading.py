"""What a good tree means."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gateway.model import Access, Schedule, Verify, WriteLimits
from gateway.settings.loader import load_files
from gateway.settings.types import ShadowSettings
from gateway.tls import TlsSettings
from tests.unit.settings.toy import GATEWAY, TOY, Faults, Load, Secrets, ToyDevice, ToyTag, channel


def test_an_id_is_all_a_gateway_needs(load: Load) -> None:
    settings = load()
    assert (settings.id, settings.tenant, settings.timezone, settings.clock_trust) == (
        "plant-7",
        "default",
        "UTC",
        "ntp",
    )
    assert settings.store.path == Path("/var/lib/fieldpost")
    assert settings.store.journal.max_bytes == 256_000_000
    assert (settings.uplinks, settings.channels) == ((), ())


def test_the_service_manager_names_the_state_directory(load: Load) -> None:
    assert load(env={"STATE_DIRECTORY": "/var/lib/private/fp"}).store.path == Path("/var/lib/private/fp")
    given = {"gateway.yaml": GATEWAY + "store: {path: /data}\n"}
    assert load(given, env={"STATE_DIRECTORY": "/var/lib/private/fp"}).store.path == Path("/data")
    assert load(given, state_dir=Path("/else")).store.path == Path("/else")
    assert load(given, state_dir=Path("/else")).hash == load(given).hash


def test_a_range_makes_devices_with_their_numbers(load: Load) -> None:
    devices = '  meter{08..10}: {unit: "{n}", profile: em, params: {base: "{n * 5}"}}\n'
    profile = (
        'em: {tags: {power: {type: uint16, address: "{base + 2}"}, name: {type: string, address: "m{n}-{base}"}}}\n'
    )
    spec = load({"channels/a.yaml": channel(devices), "profiles/em.yaml": profile}).channels[0]
    assert [device.id for device in spec.devices] == ["meter08", "meter09", "meter10"]
    assert [device.settings.unit for device in spec.devices] == [8, 9, 10]
    assert [device.tags[0].source.address for device in spec.devices] == [42, 47, 52]
    assert spec.devices[0].tags[1].source.address == "m8-40"


def test_tags_of_a_plain_profile_are_one_object_for_all_devices(load: Load) -> None:
    profile = "em: {tags: {power: {type: uint16, address: 2}}}\n"
    spec = load({"channels/a.yaml": channel("  m{1..3}: {profile: em}\n"), "profiles/em.yaml": profile}).channels[0]
    assert spec.devices[0].tags[0] is spec.devices[2].tags[0]


def test_a_device_changes_single_keys_of_its_profile(load: Load) -> None:
    profile = (
        "base: {order: BA, params: {at: 5}, meta: {maker: X}, interval: 3s,\n"
        '  tags: {a: {type: uint16, address: "{at}", unit: V}}}\n'
        "kind: {extends: base, tags: {a: {unit: A}, b: {type: bool, address: 1}}}\n"
    )
    devices = "  d: {profile: kind, params: {at: 6}, meta: {place: roof}, tags: {b: {address: 7}}}\n"
    device = load({"channels/a.yaml": channel(devices), "profiles/p.yaml": profile}).channels[0].devices[0]
    assert [(tag.path, tag.source.address, tag.unit) for tag in device.tags] == [("a", 6, "A"), ("b", 7, "")]
    assert device.settings == ToyDevice(unit=1, order="BA")
    assert device.meta == (("maker", "X"), ("place", "roof"))
    assert device.schedule == Schedule(3.0)
    assert device.profile == "kind"


def test_a_default_goes_to_the_outermost_level_that_knows_its_key(load: Load) -> None:
    head = "defaults: {order: BA, unit: 9, length: 4, timeout: 250ms, heartbeat: 15m}\n"
    devices = "  d: {tags: {a: {type: string, address: 1}, b: {type: string, address: 2, length: 8, heartbeat: 1m}}}\n"
    spec = load({"channels/a.yaml": channel(devices, head)}).channels[0]
    assert spec.settings.order == "BA"
    assert spec.timeout_s == 0.25
    device = spec.devices[0]
    assert device.settings == ToyDevice(unit=9, order=None)
    assert [tag.source for tag in device.tags] == [ToyTag(1, length=4), ToyTag(2, length=8)]
    assert [tag.report.heartbeat_s for tag in device.tags] == [900.0, 60.0]


def test_lists_of_device_keys_add_up_over_the_levels(load: Load) -> None:
    """A range that must never be asked is not lost because a device names another one."""
    head = "defaults: {forbidden: [one]}\n"
    profile = "p: {forbidden: [two], tags: {a: {type: bool, address: 1}}}\n"
    devices = "  d: {profile: p, forbidden: [three]}\n"
    spec = load({"channels/a.yaml": channel(devices, head), "profiles/p.yaml": profile}).channels[0]
    assert spec.devices[0].settings.forbidden == ("one", "two", "three")


def test_tags_are_read_by_group_interval_or_with_their_device(load: Load) -> None:
    head = "interval: 2s\ngroups: {fast: 500ms, energy: {every: 15m, align: clock}}\n"
    devices = (
        "  d:\n    tags:\n      a: {type: bool, address: 1, group: fast}\n      b: {type: bool, address: 2, group: energy}\n"
        "      c: {type: bool, address: 3, interval: 1h}\n      d: {type: bool, address: 4}\n  e: {interval: 5s, tags: {}}\n"
    )
    spec = load({"channels/a.yaml": channel(devices, head)}).channels[0]
    schedules = [tag.schedule for tag in spec.devices[0].tags]
    assert schedules == [Schedule(0.5), Schedule(900.0, align=True), Schedule(3600.0), None]
    assert [device.schedule.every_s for device in spec.devices] == [2.0, 5.0]


def test_values_of_a_tag_arrive_in_the_model(load: Load) -> None:
    tag = (
        "  d:\n    tags:\n      a: {type: int16, address: 1, unit: °C, access: rw, range: [0, 200], mask: 0xFF0, shift: 4,\n"
        "        scale: 0.1, offset: -40, invalid: [0x7FFF, -1], deadband: {percent: 2}, heartbeat: 15m, on_change: true,\n"
        "        labels: {0: 'off', 0x10: heat, -1: fault}, write: {min: 20, max: 80, rate: 3/10s},\n"
        "        verify: {tag: b/fb, settle: 2s}, tolerance: 0.5, momentary: true, on_demand: true, hidden: true, shadow: true}\n"
        "      b/fb: {type: int16, address: 2}\n"
    )
    made = load({"channels/a.yaml": channel(tag)}).channels[0].devices[0].tags[0]
    assert made.access is Access.READ_WRITE
    assert made.range == (0.0, 200.0)
    transform = made.transform
    assert (transform.mask, transform.shift, transform.scale, transform.offset) == (0xFF0, 4, 0.1, -40.0)
    assert transform.invalid == (0x7FFF, -1)
    assert (made.report.deadband, made.report.heartbeat_s, made.report.on_change) == (4.0, 900.0, True)
    assert made.write == WriteLimits(20.0, 80.0, (3, 10.0))
    assert made.verify == Verify("b/fb", 2.0, 0.5)
    assert made.labels == ((0, "off"), (16, "heat"), (-1, "fault"))
    assert all((made.momentary, made.on_demand, made.hidden, made.shadow))


@pytest.mark.parametrize(
    ("profile", "wanted"),
    [
        ("default", (60.0, 1.0, 256_000, None, None)),
        ("metered", (60.0, 5.0, 256_000, None, None)),
        ("aws", (60.0, 1.0, 120_000, 400_000.0, 50.0)),
        ("fleet", (300.0, 1.0, 256_000, None, None)),
    ],
)
def test_a_profile_of_an_uplink_sets_defaults_only(load: Load, profile: str, wanted: tuple[object, ...]) -> None:
    text = GATEWAY + f"uplinks:\n  up: {{urls: [mqtt://b.example], profile: {profile}}}\n"
    up = load({"gateway.yaml": text}).uplinks[0]
    assert (up.reconnect_max_s, up.batch_age_s, up.max_payload, up.bytes_per_s, up.messages_per_s) == wanted
    own = "batch: {age: 2s, bytes: 9KB, readings: 7}, rate: {bytes: 1KB, messages: 2}, reconnect: {max: 9s}"
    up = load({"gateway.yaml": text.replace(f"{profile}}}", f"{profile}, {own}}}")}).uplinks[0]
    assert (up.reconnect_max_s, up.batch_age_s, up.max_payload, up.bytes_per_s, up.messages_per_s) == (
        9.0,
        2.0,
        9_000,
        1_000.0,
        2.0,
    )
    assert up.batch_readings == 7


@pytest.mark.parametrize(("commit", "age"), [("200ms", 0.2), ("1s", 1.0), ("5s", 1.0)])
def test_a_message_goes_out_at_each_commit_and_at_least_each_second(load: Load, commit: str, age: float) -> None:
    text = "gateway: {id: gw}\nstore: {commit_interval: COMMIT}\nuplinks:\n  up: {urls: [mqtt://b.example]}\n"
    assert load({"gateway.yaml": text.replace("COMMIT", commit)}).uplinks[0].batch_age_s == age


def test_client_ids_differ_by_default(load: Load) -> None:
    text = (
        GATEWAY + "uplinks:\n  a: {urls: [mqtt://x]}\n  b: {urls: [mqtt://x]}\n  c: {urls: [mqtt://x], codec: native}\n"
    )
    uplinks = load({"gateway.yaml": text}).uplinks
    assert [up.client_id for up in uplinks] == ["plant-7", "plant-7-b", "plant-7-c"]
    assert [up.compress for up in uplinks] == ["none", "none", "zlib"]


def test_secrets_and_key_files_come_from_credentials(load: Load) -> None:
    text = GATEWAY + (
        "uplinks:\n  a:\n    urls: [mqtts://x]\n    username: ${credential:user}\n    password: ${credential:mqtt}\n"
        "    tls: {ca: certs/ca.pem, cert: gw.pem, key: '${credential:gw_key}'}\n"
    )
    secrets = {"user": "me", "mqtt": "s3cret", "gw_key": "-"}
    up = load({"gateway.yaml": text}, secrets=secrets, base=Path("/etc/fieldpost")).uplinks[0]
    assert (up.username, up.password) == ("me", "s3cret")
    base = Path("/etc/fieldpost")
    assert up.tls == TlsSettings(base / "certs/ca.pem", base / "gw.pem", Path("/credentials/gw_key"))


def test_references_keep_types_where_they_stand_alone(load: Load) -> None:
    gateway = "gateway: {id: '${env:ID}'}\nvars: {unit: 5, host: '${env:HOST}', on: true}\n"
    devices = "  d: {unit: '${var:unit}', enabled: '${var:on}', tags: {t: {type: uint16, address: '${env:AT}'}}}\n"
    line = channel(devices).replace("toy://1", "toy://${var:host}:${var:unit}")
    spec = load({"gateway.yaml": gateway, "channels/a.yaml": line}, env={"ID": "007", "HOST": "h", "AT": "12"})
    assert spec.id == "007"
    made = spec.channels[0]
    assert made.settings.url == "toy://h:5"
    assert made.devices[0].settings.unit == 5
    assert made.devices[0].enabled is True


def test_a_word_of_the_environment_is_a_number_where_one_is_wanted(load: Load) -> None:
    devices = "  d: {unit: '${env:UNIT}', enabled: '${env:ON}', tags: {}}\n"
    device = load({"channels/a.yaml": channel(devices)}, env={"UNIT": "12", "ON": "false"}).channels[0].devices[0]
    assert (device.settings.unit, device.enabled) == (12, False)


def test_a_fault_of_the_driver_points_into_the_profile_that_wrote_it(faults: Faults) -> None:
    profile = "em:\n  tags:\n    good: {type: bool, address: 1}\n    bad: {type: bool, address: 100}\n"
    found = faults({"channels/a.yaml": channel("  m{1..30}: {profile: em}\n"), "profiles/em.yaml": profile})
    assert [(one.file, one.line, one.column, one.path) for one in found] == [
        ("profiles/em.yaml", 4, 32, "em.tags.bad.address")
    ]


def test_a_fault_of_the_driver_points_at_the_value(faults: Faults) -> None:
    found = faults(
        {"channels/a.yaml": channel("  d: {unit: -1, tags: {}}\n  m: {tags: {t: {type: bool, address: 100}}}\n")}
    )
    assert [(one.line, one.column) for one in found] == [(4, 13), (5, 39)]


def test_problems_of_all_files_come_at_once(faults: Faults) -> None:
    found = faults(
        {
            "gateway.yaml": "gateway: {id: a b}\nuplinks: {up: {urls: [ftp://x], codec: xml}}\n",
            "channels/a.yaml": channel("  d: {unit: x, tags: {t: {type: boole, address: 1}}}\n"),
            "channels/b.yaml": "driver: toy\n\turl: x\n",
            "profiles/p.yaml": "p: {tags: {a b: {}}}\n",
        }
    )
    assert {one.file for one in found} == {"gateway.yaml", "channels/a.yaml", "channels/b.yaml", "profiles/p.yaml"}
    assert len(found) == 7


def test_a_broken_profile_file_does_not_make_its_profiles_unknown(faults: Faults) -> None:
    found = faults({"channels/a.yaml": channel("  d: {profile: em}\n"), "profiles/em.yaml": "em: {tags: [\n"})
    assert [one.file for one in found] == ["profiles/em.yaml"]


def test_a_channel_whose_driver_cannot_be_loaded_may_be_kept(load: Load, faults: Faults) -> None:
    def none(name: str) -> object:
        raise ImportError(f"driver {name}: no module named pymodbus")

    tree = {"gateway.yaml": GATEWAY, "channels/a.yaml": channel()}
    kept = load_files(tree, none, env={}, credentials=Secrets(), keep_unusable=True)  # type: ignore[arg-type]
    assert [(one.id, one.driver, one.settings, one.devices) for one in kept.channels] == [("a", "toy", None, ())]
    assert TOY.name == "toy"


def test_a_driver_whose_check_raises_is_named_and_nothing_else_stops(faults: Faults) -> None:
    def broken(_channel: object) -> list[object]:
        raise RuntimeError("boom")

    toy = msgspec.structs.replace(TOY, check=broken)  # type: ignore[arg-type]
    found = faults({"channels/a.yaml": channel()}, drivers={"toy": toy})
    assert (
        "failed while it checked this channel: RuntimeError: boom (test_loading.py:240 in broken)" in found[0].message
    )


def test_a_file_may_be_text_or_bytes_with_a_byte_order_mark(load: Load) -> None:
    assert load({"gateway.yaml": "\ufeffgateway: {id: a}\n".encode()}).id == "a"


def test_yaml_1_1_words_stay_text(load: Load) -> None:
    devices = "  d: {meta: {a: on, b: no, c: 010, d: 12:30, e: 2024-01-01, f: 0x1F, g: 1e3, h: 00:1b:44}, tags: {}}\n"
    meta = dict(load({"channels/a.yaml": channel(devices)}).channels[0].devices[0].meta)
    assert meta == {
        "a": "on",
        "b": "no",
        "c": "010",
        "d": "12:30",
        "e": "2024-01-01",
        "f": "31",
        "g": "1000.0",
        "h": "00:1b:44",
    }


GUARDED = """\
  plain: {tags: {a: {type: int16, address: 1, access: rw}}}
  pump:
    profile: skid
    conflict: last_ts
    tags:
      b: {type: int16, address: 2, access: rw, write: {max_change: 2.5, allow: [rule, local]}, on_reconnect: reapply}
      c: {type: int16, address: 3, access: rw, on_reconnect: {reapply: 90m}, conflict: local_wins}
      d: {type: int16, address: 4, access: rw, on_reconnect: keep}
  other: {profile: wide}
"""
GUARDED_PROFILES = "skid: {conflict: local_wins, tags: {}}\nwide: {extends: skid}\n"


def test_who_wins_and_what_a_reconnect_does_arrive_in_the_model(load: Load) -> None:
    tree = {"channels/a.yaml": channel(GUARDED), "profiles/p.yaml": GUARDED_PROFILES}
    plain, pump, other = load(tree).channels[0].devices
    assert (plain.conflict, pump.conflict, other.conflict) == ("cloud_wins", "last_ts", "local_wins")
    assert [tag.conflict for tag in pump.tags] == [None, "local_wins", None]
    assert [tag.reapply_s for tag in pump.tags] == [24 * 3600.0, 5400.0, None]
    assert pump.tags[0].write == WriteLimits(max_change=2.5, allow=("local", "rule"))
    assert plain.tags[0].write == WriteLimits(allow=("local", "cloud", "rule", "plant"))
    assert plain.tags[0].reapply_s is None


def test_the_order_of_who_may_write_does_not_count(load: Load) -> None:
    one = load({"channels/a.yaml": channel(GUARDED), "profiles/p.yaml": GUARDED_PROFILES})
    swapped = GUARDED.replace("[rule, local]", "[local, rule, local]")
    assert load({"channels/a.yaml": channel(swapped), "profiles/p.yaml": GUARDED_PROFILES}).hash == one.hash


def test_settings_of_shadows_have_defaults_and_a_hard_limit(load: Load, faults: Faults) -> None:
    assert load().shadow == ShadowSettings("cloud", 8192)
    given = load({"gateway.yaml": GATEWAY + "shadow: {authority: gateway, max_bytes: 65536B}\n"})
    assert given.shadow == ShadowSettings("gateway", 65_536)
    (problem,) = faults({"gateway.yaml": GATEWAY + "shadow: {max_bytes: 65537B}\n"})
    assert problem.path == "shadow.max_bytes"


def test_the_nearest_word_on_when_a_tag_is_read_holds(load: Load) -> None:
    profiles = "p:\n  tags:\n    a: {address: 1, type: uint16, interval: 60s}\n    b: {address: 2, type: uint16}\n"
    head = "groups: {fast: 500ms, slow: 5s}\ndefaults: {group: fast}\n"
    devices = "  d:\n    profile: p\n  e:\n    profile: p\n    tags: {a: {group: slow}}\n"
    settings = load({"profiles/p.yaml": profiles, "channels/l.yaml": channel(devices, head)})
    d, e = settings.channels[0].devices
    assert [tag.schedule.every_s for tag in (*d.tags, *e.tags)] == [60.0, 0.5, 5.0, 0.5]


def test_parameters_may_stand_in_defaults_and_in_a_profiles_free_text(load: Load) -> None:
    profiles = 'p:\n  meta: {place: "row {n}"}\n  tags: {a: {address: 1, type: uint16}}\n'
    head = 'defaults: {unit: "{n}"}\n'
    settings = load({"profiles/p.yaml": profiles, "channels/l.yaml": channel("  m{1..2}: {profile: p}\n", head)})
    assert [(d.settings.unit, d.meta) for d in settings.channels[0].devices] == [
        (1, (("place", "row 1"),)),
        (2, (("place", "row 2"),)),
    ]


def test_a_parameter_from_the_environment_can_be_reckoned_with(load: Load) -> None:
    devices = '  d:\n    params: {base: "${env:BASE}"}\n    tags: {a: {address: "{base + 2}", type: uint16}}\n'
    settings = load({"channels/l.yaml": channel(devices)}, env={"BASE": "40"})
    assert settings.channels[0].devices[0].tags[0].source.address == 42
