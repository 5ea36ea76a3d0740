"""`fieldpost fleet` on shadows: what people see, what scripts get, and the exit status."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from tests.integration.fleet.conftest import Raw
from tests.integration.fleet.device_side import DeviceSide
from tests.support.eventually import wait_until

DESIRED = "fp/1/default/gw/shadow/pump/desired"


@pytest.fixture
def run(broker: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    """`run("set", ...)` gives (exit status, stdout, stderr)."""

    def call(*words: str) -> tuple[int, str, str]:
        status = main(["fleet", *words, "--url", broker.url])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_set_get_and_delete_for_scripts(run: Any, side: DeviceSide) -> None:
    status, out, err = run("set", "gw", "pump", "setpoints/temp=21.5", "mode=auto", "fan=true", "--json")
    assert (status, err) == (0, "")
    answer = json.loads(out)
    assert (answer["ok"], answer["ver"], answer["online"]) == (True, 1, True)
    assert {leaf["path"]: (leaf["state"], leaf["value"]) for leaf in answer["leaves"]} == {
        "setpoints.temp": ("ok", 21.5),
        "mode": ("ok", "auto"),
        "fan": ("ok", True),
    }
    status, out, _ = run("get", "gw", "pump", "--json")
    shadow = json.loads(out)
    assert status == 0
    assert shadow["desired"]["state"] == {"setpoints": {"temp": 21.5}, "mode": "auto", "fan": True}
    assert (shadow["reported"]["desired_ver"], shadow["delta"], shadow["rejections"]) == (1, {}, [])
    only = json.loads(run("get", "gw", "pump", "setpoints.temp", "--json")[1])
    assert only["desired"]["state"] == only["reported"]["state"] == {"setpoints": {"temp": 21.5}}
    assert run("delete", "gw", "pump", "mode", "--json")[0] == 0
    assert json.loads(run("get", "gw", "pump", "--json")[1])["desired"]["ver"] == 2
    status, out, _ = run("delete", "gw", "pump", "mode", "--json")
    assert (status, json.loads(out)["code"]) == (1, 404)


def test_what_was_refused_is_shown_with_its_reason_and_exits_1(run: Any, side: DeviceSide) -> None:
    side.refuses["mode"] = (403, "maintenance")
    side.clamps["speed"] = 1500
    status, out, _ = run("set", "gw", "pump", "mode=x", "speed=1800")
    assert status == 1
    assert "maintenance" in out
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [
        ["mode", "-", "rejected"],
        ["speed", "1500", "failed"],
    ]
    status, out, _ = run("get", "gw", "pump")
    assert status == 0
    assert out.count("differs") == 2


def test_a_change_for_a_gateway_that_is_away(run: Any, raw: Raw) -> None:
    status, out, _ = run("set", "gw", "pump", "a=1", "--wait", "0", "--json")
    answer = json.loads(out)
    assert (status, answer["ok"], answer["leaves"][0]["state"]) == (0, True, "pending"), (
        "nobody asked what became of it"
    )
    raw.publish("fp/1/default/gw/status", {"v": 1, "online": False, "session": 1, "epoch": 1})
    status, out, _ = run("set", "gw", "pump", "a=2")
    assert status == 1
    assert "offline" in out
    wait_until(lambda: raw.body(DESIRED)["state"] == {"a": 2})


def test_if_ver_and_new(run: Any, raw: Raw, side: DeviceSide) -> None:
    assert run("set", "gw", "pump", "a=1", "--if-ver", "0")[0] == 0
    status, out, _ = run("set", "gw", "pump", "a=2", "--if-ver", "9", "--json")
    assert (status, json.loads(out)["code"]) == (1, 409)
    raw.publish(DESIRED, b"")
    status, _, err = run("set", "gw", "pump", "a=2")
    assert status == 1
    assert "--new" in err
    assert json.loads(run("set", "gw", "pump", "a=2", "--new", "--json")[1])["ver"] == 2


def test_what_was_set_at_the_panel_is_shown_and_adopted(run: Any, raw: Raw, side: DeviceSide) -> None:
    run("set", "gw", "pump", "mode=auto")
    side.values["mode"] = "manual"
    side.local["mode"] = ["manual", 1, 1, 1795000001000, "console"]
    side.report()
    wait_until(lambda: raw.body("fp/1/default/gw/shadow/pump/reported").get("local"))
    assert "set at the gateway by console" in run("get", "gw", "pump")[1]
    assert run("adopt", "gw", "pump", "mode")[0] == 0
    assert raw.body(DESIRED)["state"] == {"mode": "manual"}


def test_a_patch_for_a_gateway_that_keeps_the_document(run: Any, side: DeviceSide) -> None:
    status, out, _ = run("set", "gw", "pump", "a=1", "--patch", "--json")
    assert (status, json.loads(out)["ver"]) == (0, 1)


def test_get_of_nothing_exits_1_and_says_what_it_may_be(run: Any) -> None:
    status, out, _ = run("get", "gw", "pump")
    assert status == 1
    assert "no shadow of pump" in out


def test_get_says_which_tags_are_not_in_the_shadow_and_exits_1(run: Any, side: DeviceSide) -> None:
    assert run("set", "gw", "pump", "setpoints/temp=21.5")[0] == 0
    status, out, _ = run("get", "gw", "pump", "nothing", "setpoints/temp", "a/b")
    assert status == 1
    assert "setpoints/temp  " in out
    assert "not in the shadow of pump: a/b, nothing" in out
    status, out, _ = run("get", "gw", "pump", "nothing")
    assert (status, "no shadow of" in out) == (1, False)
    assert "not in the shadow of pump: nothing" in out
    status, out, _ = run("get", "gw", "pump", "nothing", "setpoints/temp", "--json")
    assert (status, json.loads(out)["missing"]) == (1, ["nothing"])
    assert run("get", "gw", "pump", "setpoints/temp")[0] == 0


def test_a_shadow_without_leaves_is_a_shadow(run: Any, side: DeviceSide) -> None:
    side.report()
    status, out, _ = run("get", "gw", "pump")
    assert (status, "no shadow of" in out) == (0, False)


def test_watch_prints_an_object_a_line(run: Any, side: DeviceSide) -> None:
    timer = threading.Timer(1.0, side.report)
    timer.start()
    status, out, _ = run("watch", "gw", "--device", "pump", "--for", "3s", "--json")
    timer.join()
    changes = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [(change["kind"], change["retained"]) for change in changes] == [("status", True), ("reported", False)]


def test_certificates_of_our_own_are_shown_to_the_broker(
    make_broker: Any, certificates: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    broker = make_broker(tls=certificates)
    pair = certificates.make("scada-1")
    words = ["fleet", "ls", "--url", broker.url, "--ca", str(certificates.ca), "--json"]
    assert main([*words, "--cert", str(pair.cert), "--key", str(pair.key)]) == 0
    assert json.loads(capsys.readouterr().out) == {"gateways": [], "ignored": 0}
    assert main(words) == 1, "this broker wants one"
    assert json.loads(capsys.readouterr().out)["code"] in {403, 503}


def test_a_login_comes_from_options_or_from_the_uplink(
    make_broker: Any, make_gateway: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "scada-1", "secret"], check=True)
    passwords.chmod(0o644)
    broker = make_broker(extra=f"password_file {passwords}", start=False)
    file = broker._directory / "mosquitto.conf"
    file.write_text(file.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    broker.start()
    (tmp_path / "secret").write_text("secret\n")
    words = ["fleet", "ls", "--url", broker.url, "--json"]
    assert main([*words, "--username", "scada-1", "--password-file", str(tmp_path / "secret")]) == 0
    capsys.readouterr()
    assert main([*words, "--username", "scada-1"]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == 403
    gateway = make_gateway()
    gateway.write_main(
        uplinks={"cloud": {"urls": [broker.url], "username": "scada-1", "password": "${credential:cloud}"}}
    )
    (tmp_path / "cloud").write_text("secret\n")
    answer = gateway.cli("fleet", "ls", "--json", env={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert answer.code == 0, answer


def test_ctrl_c_ends_a_watch_well(broker: Any, side: DeviceSide) -> None:
    words = [sys.executable, "-m", "gateway.cli", "fleet", "watch", "gw", "--json", "--url", broker.url]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        assert json.loads(watch.stdout.readline())["kind"] == "status"
        watch.send_signal(signal.SIGINT)
        _, err = watch.communicate(timeout=20)
    assert (watch.returncode, err) == (0, "")
