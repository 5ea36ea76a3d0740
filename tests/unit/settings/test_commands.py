"""Named commands of devices and profiles, as they are written."""

from __future__ import annotations

import pytest

from gateway.model import Access, CommandItem, CommandSpec
from tests.unit.settings.toy import Faults, Load, channel

PROFILE = """
pump:
  tags:
    speed: {address: 1, type: uint16, access: rw, labels: {0: stopped, 7: fast}}
    power: {address: 2, type: float32}
    start: {address: 3, type: bool, access: w}
  commands:
    Drive: {access: rw, tags: {speed: {labels: {0: Halt}, default: Halt}}, description: how fast}
    Look: {tags: [power, speed]}
"""


def commands(load: Load, device: str = "", profile: str = PROFILE) -> dict[str, CommandSpec]:
    text = channel(f"  p: {{profile: pump{device}}}\n")
    (line,) = load({"channels/line1.yaml": text, "profiles/pump.yaml": profile}).channels
    return {command.name: command for command in line.devices[0].commands}


def test_a_command_is_a_list_or_a_mapping_of_tags_in_order(load: Load) -> None:
    found = commands(load)
    assert found == {
        "Drive": CommandSpec("Drive", (CommandItem("speed", ((0, "Halt"),), 0),), Access.READ_WRITE, False, "how fast"),
        "Look": CommandSpec("Look", (CommandItem("power"), CommandItem("speed"))),
    }


def test_a_device_changes_single_keys_of_a_command_and_adds_its_own(load: Load) -> None:
    found = commands(load, ", commands: {Drive: {hidden: true}, speed: {access: w, tags: {start: {default: true}}}}")
    assert found["Drive"].hidden
    assert found["Drive"].items == (CommandItem("speed", ((0, "Halt"),), 0),)
    assert found["speed"] == CommandSpec("speed", (CommandItem("start", default=True),), Access.WRITE)


def test_a_profile_inherits_commands(load: Load) -> None:
    more = "big:\n  extends: pump\n  commands: {Look: {tags: [speed]}, More: {tags: [power]}}\n"
    text = channel("  p: {profile: big}\n")
    files = {"channels/line1.yaml": text, "profiles/pump.yaml": PROFILE, "profiles/big.yaml": more}
    (line,) = load(files).channels
    assert [(each.name, [item.path for item in each.items]) for each in line.devices[0].commands] == [
        ("Drive", ["speed"]),
        ("Look", ["speed"]),
        ("More", ["power"]),
    ]


def test_parameters_stand_in_commands_too(load: Load) -> None:
    profile = "pump:\n  params: {top: 5, which: speed}\n  tags: {speed: {address: 1, type: uint16, access: rw}}\n"
    profile += '  commands: {Go: {access: w, tags: {speed: {default: "{top + n}"}}}, Look: {tags: ["{which}"]}}\n'
    text = channel("  p{1..2}: {profile: pump}\n")
    (line,) = load({"channels/line1.yaml": text, "profiles/pump.yaml": profile}).channels
    assert [device.commands[0].items[0].default for device in line.devices] == [6, 7]
    assert line.devices[0].commands[1] == line.devices[1].commands[1]


def test_devices_of_one_profile_share_their_commands_and_others_have_none(load: Load) -> None:
    text = channel("  p{1..2}: {profile: pump}\n  q: {tags: {speed: {address: 1, type: uint16}}}\n")
    (line,) = load({"channels/line1.yaml": text, "profiles/pump.yaml": PROFILE}).channels
    one, two, other = line.devices
    assert one.commands is two.commands
    assert other.commands == ()


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("{tags: [sped]}", "this device has no tag `sped` did you mean `speed`?"),
        ("{tags: {sped: {}}}", "this device has no tag `sped` did you mean `speed`?"),
        ("{tags: [start]}", "`start` cannot be read (access w)"),
        ("{access: rw, tags: [power]}", "`power` cannot be written (access r)"),
        ("{access: w, tags: {power: {default: 1}}}", "`power` cannot be written (access r)"),
        ("{tags: [speed, speed]}", "`speed` is named twice"),
        ("{tags: []}", "a command has 1 to 500 tags, this one 0"),
        ("{}", "command `C` needs `tags`"),
        ("{tags: speed}", "`tags` must be"),
        ("{tags: {speed: 5}}", "tag `speed` of a command must be a mapping"),
        ("{tags: {speed: {default: 5}}}", "a default is for writing, this command reads"),
        ("{access: w, tags: {speed: {default: x}}}", "speed has no label 'x'; it has 'stopped', 'fast'"),
        ("{access: w, tags: {speed: {default: 1.5}}}", "speed takes whole numbers; got 1.5"),
        ("{access: w, tags: {speed: {labels: {a: b}}}}", "`a` is not a whole number"),
        ("{tags: [speed], acces: r}", "unknown key `acces` in command `C` did you mean `access`?"),
        ("{access: x, tags: [speed]}", "`access` cannot be"),
        ("[speed]", "command `C` must be a mapping"),
    ],
)
def test_what_a_command_cannot_be_is_told_at_its_place(faults: Faults, written: str, says: str) -> None:
    text = channel(f"  p:\n    profile: pump\n    commands:\n      C: {written}\n")
    found = faults({"channels/line1.yaml": text, "profiles/pump.yaml": PROFILE})
    problem = found[0]
    assert (problem.file, problem.line) == ("channels/line1.yaml", 7)
    assert says in f"{problem.message} {problem.hint}"
    assert len(found) == 1


def test_a_name_that_no_command_can_have_is_refused(faults: Faults) -> None:
    text = channel("  p: {profile: pump, commands: {'a b': {tags: [speed]}}}\n")
    (problem,) = faults({"channels/line1.yaml": text, "profiles/pump.yaml": PROFILE})
    assert "`a b` cannot name a command" in problem.message
    assert problem.hint == "for example `a_b`"


def test_a_broken_tag_is_told_once(faults: Faults) -> None:
    text = channel("  p: {tags: {speed: {address: 1, type: uint61}}, commands: {C: {tags: [speed]}}}\n")
    (problem,) = faults({"channels/line1.yaml": text})
    assert "`type`" in problem.message
