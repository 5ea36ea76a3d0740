"""`fieldpost ota` on a machine without a running gateway."""

import contextlib
import json
import os
import threading
import time

import pytest

from gateway.atomic import replace_file
from gateway.cli.commands import ota as command
from gateway.cli.main import main
from gateway.ota.places import Places
from gateway.ota.release import ReleaseRefused
from gateway.ota.request import asking
from tests.support.slots import SlotBox
from tests.unit.ota.publisher import Publisher

OLD, NEW = "1.1.0-aaaaaaaaaaaa", "1.2.0-bbbbbbbbbbbb"


@pytest.fixture
def box(tmp_path, monkeypatch):
    """A machine on which OLD runs and NEW is staged; the command thinks that it is there, and root."""
    made = SlotBox(tmp_path)
    made.install_slotctl()
    made.make(OLD)
    made.make(NEW)
    assert made.run("adopt", OLD) == 0
    monkeypatch.setattr(command, "own_slot", lambda: (Places(tmp_path), OLD))
    monkeypatch.setattr(command.os, "geteuid", lambda: 0)
    (tmp_path / "var/lib/fieldpost").mkdir(parents=True)
    return made


def _ota(capsys, *words):
    code = main(["ota", *words, "--json", "--socket", "/nonexistent/socket"])
    return code, json.loads(capsys.readouterr().out)


def test_status_without_a_gateway_shows_the_slots(box, capsys):
    code, shown = _ota(capsys, "status")
    assert (code, shown["phase"], shown["good"], shown["running"]) == (0, "IDLE", OLD, "")
    box.run("trial", asked={"slot": NEW, "job": "j1"})
    assert _ota(capsys, "status")[1]["trial"] == {"slot": NEW, "job": "j1", "tries_left": 3}
    assert main(["ota", "status", "--socket", "/nonexistent/socket"]) == 0
    assert f"tried    {NEW}, 3 of 3 starts left" in capsys.readouterr().out


def test_status_shows_drivers_and_warns_where_one_key_is_enough(box, capsys, tmp_path):
    packages = [{"vendor": "acme", "name": "acme-driver", "version": "2.1"}]
    (tmp_path / f"opt/fieldpost/releases/{OLD}/drivers.json").write_text(json.dumps({"packages": packages}))
    shown = _ota(capsys, "status")[1]
    assert (shown["drivers"], shown["trust"]) == (["acme/acme-driver 2.1"], {})
    for counts, trust, text in (
        ({}, {"root": [1, 1], "targets": [1, 1]}, "one stolen key of root or targets is enough"),
        ({"root": 3, "targets": 2}, {"root": [3, 3], "targets": [2, 2]}, "trust    root 3 of 3, targets 2 of 2\n"),
    ):
        publisher = Publisher(tmp_path / f"publisher-{len(counts)}", counts)
        root = Places(tmp_path).factory_root
        root.parent.mkdir(parents=True, exist_ok=True)
        root.write_bytes(publisher.factory_root)
        assert _ota(capsys, "status")[1]["trust"] == trust
        assert main(["ota", "status", "--socket", "/nonexistent/socket"]) == 0
        out = capsys.readouterr().out
        assert text in out
        assert "driver   acme/acme-driver 2.1" in out


def test_a_trial_can_be_kept_by_hand(box, capsys):
    box.run("trial", asked={"slot": NEW, "job": "j1"})
    assert _ota(capsys, "confirm")[0] == 1, "it has not been started yet"
    box.run("boot")
    assert _ota(capsys, "confirm")[0] == 0
    assert _ota(capsys, "status")[1]["good"] == NEW
    code, shown = _ota(capsys, "history")
    assert (code, shown["jobs"][-1]["outcome"], shown["jobs"][-1]["gates"]) == (0, "SUCCEEDED", {"by": "hand"})


def test_nobody_but_root_changes_slots(box, capsys, monkeypatch):
    monkeypatch.setattr(command.os, "geteuid", lambda: 1000)
    for action in (("confirm",), ("rollback",), ("gc",), ("install", "x.fpb")):
        code, shown = _ota(capsys, *action)
        assert code == 1
        assert "run it as root" in shown["text"]


def test_a_machine_without_slots_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "own_slot", lambda: (Places(tmp_path), OLD))
    code, shown = _ota(capsys, "status")
    assert code == 1
    assert "has no release slots" in shown["text"]


def test_a_file_that_is_no_bundle_asks_nothing(box, capsys, tmp_path):
    wrong = tmp_path / "wrong.fpb"
    wrong.write_bytes(b"not a bundle" * 100)
    code, shown = _ota(capsys, "install", str(wrong))
    assert code == 1
    assert "not a bundle" in shown["text"]
    assert not Places(tmp_path).request.exists()
    code, shown = _ota(capsys, "install", str(tmp_path / "missing.fpb"))
    assert code == 2


@pytest.mark.parametrize("job", ["a b", "../x", "", "x" * 65])
def test_an_id_that_no_job_may_have_is_refused(box, capsys, job):
    assert _ota(capsys, "install", "x.fpb", f"--job={job}")[0] in {1, 2}
    assert not box.root.joinpath("var/lib/fieldpost/ota").exists()


def test_install_asks_the_updater_and_waits_for_the_end(box, capsys, tmp_path):
    publisher = Publisher(tmp_path / "publisher")
    bundle = publisher.bundle(publisher.release("1.2.0"))
    request = Places(tmp_path).request

    def updater():
        while not request.exists():
            time.sleep(0.05)
        assert json.loads(request.read_text()) == {"job": "j7"}
        box.run("result", asked={"job": "j7", "outcome": "FAILED", "reason": "disk", "text": "no room"})

    thread = threading.Thread(target=updater)
    thread.start()
    code, shown = _ota(capsys, "install", str(bundle), "--job", "j7", "--wait", "20s")
    thread.join(20)
    assert (code, shown["ok"], shown["state"], shown["text"]) == (1, False, "failed", "no room")
    names = {path.relative_to(Places(tmp_path).inbox).parts[0] for path in Places(tmp_path).inbox.rglob("*.json")}
    assert names == {"metadata", "targets"}
    assert _ota(capsys, "install", str(bundle), "--job", "j8", "--no-wait")[1]["state"] == "requested"


def test_a_second_update_is_refused_until_the_first_was_answered_or_is_forgotten(box, capsys, tmp_path):
    publisher, at = Publisher(tmp_path / "publisher"), Places(tmp_path)
    words = ("install", str(publisher.bundle(publisher.release("1.2.0"))), "--no-wait", "--job")
    with asking(at, "bringing"):
        assert "another update is being staged (job bringing)" in _ota(capsys, *words, "one")[1]["text"]
    assert not at.request.exists()
    assert not at.inbox.exists()
    assert _ota(capsys, *words, "one")[0] == 0, "whoever let go is not in the way"
    code, shown = _ota(capsys, *words, "two")
    assert (code, "another update is being staged (job one)" in shown["text"]) == (1, True)
    assert json.loads(at.request.read_text()) == {"job": "one"}
    box.run("result", asked={"job": "one", "outcome": "FAILED", "reason": "disk", "text": "no room"})
    assert _ota(capsys, *words, "two")[0] == 0
    os.utime(at.request, (1, 1))
    assert _ota(capsys, *words, "three")[0] == 0, "the updater died, and nobody asked it again"


def test_of_many_updates_at_once_one_is_staged(box, tmp_path):
    at, done = Places(tmp_path), []

    def ask(number):
        with contextlib.suppress(ReleaseRefused), asking(at, f"j{number}"):
            replace_file(at.request, json.dumps({"job": f"j{number}"}).encode())
            done.append(f"j{number}")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert done == [json.loads(at.request.read_text())["job"]]


def test_an_expired_timestamp_is_accepted_for_one_job_by_root_alone(box, capsys, tmp_path, monkeypatch):
    publisher = Publisher(tmp_path / "publisher")
    bundle = publisher.bundle(publisher.release("1.2.0"))
    waiver = Places(tmp_path).waiver
    words = ("install", str(bundle), "--no-wait", "--accept-stale-timestamp")
    assert _ota(capsys, *words, "--job", "j9")[0] == 0
    assert json.loads(waiver.read_text()) == {"job": "j9", "timestamp": 2}
    assert waiver.stat().st_mode & 0o777 == 0o600
    Places(tmp_path).request.unlink()
    assert _ota(capsys, "install", str(bundle), "--no-wait")[0] == 0
    assert not waiver.exists(), "another job does not find it"
    Places(tmp_path).request.unlink()
    monkeypatch.setattr(command.os, "geteuid", lambda: 1000)
    assert "run it as root" in _ota(capsys, *words)[1]["text"]
    assert not waiver.exists()
    box.run("result", asked={"job": "j9", "outcome": "SUCCEEDED", "slot": NEW, "waived": "timestamp"})
    assert main(["ota", "history", "--socket", "/nonexistent/socket"]) == 0
    assert "(an expired timestamp was accepted)" in capsys.readouterr().out
