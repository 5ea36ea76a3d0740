"""A case of a profile recorded from a device through the running gateway, and then held against its profile."""

from __future__ import annotations

import yaml

from tests.support.simulated import Simulated

TRUTH = {"voltage/l1": 230.5, "power/total": -1250.0, "frequency": 49.5}


def test_what_a_device_says_becomes_a_case_that_holds_until_the_profile_is_wrong(processes, tmp_path, make_gateway):
    sets = [word for tag, value in TRUTH.items() for word in ("--set", f"{tag}={value}")]
    device = Simulated(processes, tmp_path, "eastron_sdm630", "--static", *sets)
    gateway = make_gateway()
    gateway.write_main(uplinks={})
    gateway.write(
        "channels/line.yaml",
        f"driver: modbus\n{device.place}\ndevices:\n  meter{{1..2}}: {{unit_id: 1, profile: eastron_sdm630, interval: 200ms}}\n",
    )
    gateway.write("profiles/eastron_sdm630.yaml", gateway.cli("profiles", "eastron_sdm630", "--library").out)
    gateway.start()
    file = gateway.config / "profiles/eastron_sdm630.cases.yaml"
    shown = gateway.cli("profiles", "record", "meter2", "--for", "1s")
    assert shown.code == 0, shown
    assert not file.exists()
    assert gateway.ask("profiles", "record", "meter2", "--for", "1s", "--write")["written"] is True
    (case,) = yaml.safe_load(file.read_text())["cases"].values()
    assert TRUTH.items() <= case["expect"].items()
    assert set(case["given"]) == {"input"}
    result = gateway.ask("profiles", "test", "eastron_sdm630", "--strict")
    assert result["results"][0]["checked"] == result["results"][0]["tags"]
    again = gateway.cli("profiles", "record", "meter2", "--for", "1s", "--write")
    assert (again.code, "exists already" in again.err) == (1, True)
    nobody = gateway.cli("profiles", "record", "meter3")
    assert (nobody.code, "did you mean `meter" in nobody.err) == (1, True)
    profile = gateway.config / "profiles/eastron_sdm630.yaml"
    profile.write_text(profile.read_text().replace("eastron_sdm630:\n", "eastron_sdm630:\n  word_order: CDAB\n"))
    wrong = gateway.cli("profiles", "test", "eastron_sdm630")
    assert wrong.code == 1
    assert "expected 230.5 V" in wrong.out
