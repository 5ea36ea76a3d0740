"""A gateway that updates itself while it polls: it makes room, is measured by what was up before, is kept or taken back."""

import pytest

from tests.support import counting, parts
from tests.support.eventually import wait_until
from tests.support.managed import Managed

OLD, NEW = "1.1.0-aaaaaaaaaaaa", "1.2.0-bbbbbbbbbbbb"


@pytest.fixture
def managed(tmp_path, processes, make_plant):
    """Reads two lines from OLD; nobody answers on the second."""
    plant = make_plant(2)
    made = Managed(tmp_path / "machine", processes)
    made.places.confirm.parent.mkdir(parents=True)
    made.make_real(OLD)
    assert made.run("adopt", OLD) == 0, made.output
    made.gateway.write_main(uplinks={})
    made.gateway.write("profiles/counter.yaml", counting.profile(5))
    for line in range(2):
        made.gateway.write(
            f"channels/line{line:02d}.yaml", counting.channel(plant, line, interval="200ms", timeout="300ms")
        )
    dead = {"driver": "modbus", "url": "tcp://127.0.0.1:9", "devices": {"dead": {"unit_id": 1, "profile": "counter"}}}
    made.gateway.write("channels/dead.yaml", dead)
    made.start()
    made.gateway.wait_ready()
    wait_until(lambda: _online(made) == {"line00", "line01"}, 30, every=0.2)
    yield made
    made.gateway.process.end()
    made.gateway.close()


def _online(managed):
    channels = managed.gateway.status()["channels"]
    return {name for name, channel in channels.items() if channel["state"] == "online"}


def _try(managed, confirm_s=40, soak_s=1):
    asked = {"slot": NEW, "job": "j1", "tries": 3, "confirm_s": confirm_s, "soak_s": soak_s}
    assert managed.run("trial", asked=asked) == 0, managed.output


def _end(managed):
    """Let the service manager work until the trial has ended."""

    def ended():
        managed.pump()
        return managed.loaded().state.phase != "TRIAL"

    wait_until(ended, 60, every=0.1, why=lambda: managed.gateway.log()[-3000:])
    return managed.loaded().state


def _journal(managed, kind):
    entries = managed.gateway.ask("journal", "--stream", "event", "--limit", "200")["entries"]
    return [entry for entry in entries if entry.get("kind") == kind]


def test_a_release_as_good_as_the_one_before_is_kept(managed):
    managed.make_real(NEW)
    _try(managed)
    state = _end(managed)
    assert (state.good, state.prev, state.phase) == (NEW, OLD, "PROBATION")
    assert managed.starts == [OLD, NEW]
    gates = state.result["gates"]
    assert gates.pop("confirmed_offline") is True
    assert set(gates.values()) == {"ok"}
    assert _online(managed) == {"line00", "line01"}
    (job,) = wait_until(lambda: _journal(managed, "job"), 20, every=0.3)
    assert (job["job"], job["op"], job["state"], job["detail"]["slot"]) == ("j1", "ota", "succeeded", NEW)
    shown = managed.gateway.ask("ota", "status")
    assert (shown["running"], shown["phase"]) == (NEW, "PROBATION")
    assert managed.gateway.ask("ota", "history")["jobs"][-1]["outcome"] == "SUCCEEDED"


def test_a_request_that_a_power_cut_left_open_is_made_again(managed):
    """The service manager starts the updater when the file changes, not because it is there."""
    request = managed.gateway.state / "ota/request.json"
    request.parent.mkdir(exist_ok=True)
    answered = {"job": "j0", "outcome": "FAILED", "reason": "disk", "text": "no room"}
    for job, again in (("j0", False), ("j5", True)):
        assert managed.run("result", asked=answered) == 0
        request.write_text(f'{{"job": "{job}"}}')
        before = request.stat().st_ino
        managed.gateway.process.signal(15)
        wait_until(lambda: (managed.pump(), len(managed.starts) > 1)[1], 30, every=0.1)
        managed.starts = managed.starts[:1]
        managed.gateway.wait_ready()
        wait_until(lambda: managed.gateway.ask("ota", "status")["result"], 20, every=0.2)
        wait_until(lambda: any(one["id"] == "update_failed" for one in managed.gateway.issues()), 20, every=0.2)
        assert (request.stat().st_ino != before) is again
        assert request.read_text() == f'{{"job": "{job}"}}'


def test_a_release_that_ends_at_its_start_is_given_up_and_told(managed):
    managed.make_real(NEW, "import os\nos._exit(3)\n")
    _try(managed)
    state = _end(managed)
    assert (state.good, state.result["reason"]) == (OLD, "tries")
    assert managed.starts == [OLD, NEW, NEW, NEW, OLD]
    managed.gateway.wait_ready()
    (issue,) = [one for one in managed.gateway.issues() if one["id"] == "update_failed"]
    assert "3 starts without a confirmation" in issue["text"]
    (job,) = wait_until(lambda: _journal(managed, "job"), 20, every=0.3)
    assert (job["state"], job["detail"]["rolled_back"]) == ("failed", True)


def test_a_release_that_loses_a_channel_is_taken_back(managed):
    fault = "import sys\nsys.modules['drivers.modbus.driver'] = None\nsys.modules['pymodbus'] = None\n"
    managed.make_real(NEW, fault)
    _try(managed, confirm_s=12)
    wait_until(lambda: (managed.pump(), managed.starts[-1] == NEW)[1], 30, every=0.1)
    managed.gateway.wait_ready()
    verdict = wait_until(lambda: managed.gateway.ask("ota", "status")["gates"].get("channels"), 10, every=0.2)
    assert verdict == "not up again: line00, line01", "the one that was dead before is not waited for"
    state = _end(managed)
    assert (state.good, state.bad, state.result["reason"]) == (OLD, [NEW], "deadline")
    wait_until(lambda: (managed.pump(), managed.starts[-1] == OLD)[1], 30, every=0.1)
    managed.gateway.wait_ready()
    wait_until(lambda: _online(managed) == {"line00", "line01"}, 30, every=0.2)
    (job,) = wait_until(lambda: _journal(managed, "job"), 20, every=0.3)
    assert job["detail"]["gates"] == {"channels": verdict}, "the release before tells what the tried one lacked"
    (issue,) = [one for one in managed.gateway.issues() if one["id"] == "update_failed"]
    assert issue["text"] == f"{NEW}: no confirmation within 12 s (channels: {verdict})"
    assert managed.gateway.ask("ota", "history")["jobs"][-1]["why"] == f"channels: {verdict}"


def test_a_release_that_is_killed_in_its_soak_is_measured_anew(managed):
    """The gate of a restart: what held before it does not count."""
    managed.make_real(NEW)
    _try(managed, confirm_s=60, soak_s=6)
    wait_until(lambda: (managed.pump(), managed.starts[-1] == NEW)[1], 30, every=0.1)
    managed.gateway.wait_ready()
    wait_until(lambda: (managed.pump(), _held(managed) > 2)[1], 30, every=0.1)
    held = _held(managed)
    managed.gateway.process.signal(9)
    wait_until(lambda: (managed.pump(), managed.starts == [OLD, NEW, NEW])[1], 30, every=0.1)
    assert managed.loaded().state.trial.tries_left == 1
    managed.gateway.wait_ready()
    assert _held(managed) < held
    state = _end(managed)
    assert (state.good, state.phase) == (NEW, "PROBATION")


def test_a_check_of_the_site_holds_a_confirmation_up(managed):
    parts.require("root")  # to whom checks belong
    managed.make_real(NEW)
    check = managed.root / "etc/fieldpost/health.d/10-plc"
    check.parent.mkdir(parents=True)
    check.write_text(f"#!/bin/sh\n[ -e {managed.root}/plc ] || {{ echo no answer from the PLC; exit 1; }}\n")
    check.chmod(0o755)
    _try(managed)
    wait_until(lambda: (managed.pump(), managed.starts[-1] == NEW)[1], 30, every=0.1)
    managed.gateway.wait_ready()
    wait_until(lambda: "scripts" in managed.gateway.ask("ota", "status")["gates"], 20, every=0.2)
    shown = managed.gateway.ask("ota", "status")
    assert shown["scripts"] == ["10-plc"]
    assert shown["gates"]["scripts"] == "10-plc: no answer from the PLC"
    assert managed.loaded().state.phase == "TRIAL"
    (managed.root / "plc").touch()
    state = _end(managed)
    assert (state.good, state.result["gates"]["scripts"]) == (NEW, "ok")


def test_a_confirmation_that_is_not_the_gateways_is_in_the_audit_once(managed):
    managed.places.confirm.write_text(f'{{"slot": "{NEW}", "pid": 1}}')
    managed.pump()
    (entry,) = wait_until(lambda: _refused(managed), 20, every=0.3)
    assert (entry["who"], entry["text"].partition(",")[0]) == ("gateway", "a confirmation by process 1")
    managed.gateway.process.signal(15)
    wait_until(lambda: (managed.pump(), len(managed.starts) == 2)[1], 30, every=0.1)
    managed.gateway.wait_ready()
    managed.places.confirm.write_text(f'{{"slot": "{NEW}", "pid": {managed.gateway.pid}}}')
    managed.pump()
    _, second = wait_until(lambda: len(found := _refused(managed)) > 1 and found, 20, every=0.3)
    assert second["text"] == f"a confirmation of {NEW}, chosen was {OLD}"


def _refused(managed):
    return [entry for entry in _journal(managed, "audit") if entry["what"] == "ota_confirm_refused"]


def _held(managed):
    return managed.gateway.ask("ota", "status")["held_s"]
