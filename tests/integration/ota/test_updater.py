"""The updater from an inbox to a slot that is tried: what it makes, what it refuses, what a kill at any point leaves."""

import datetime as dt
import io
import json
import os
import signal
import subprocess
import threading
import zipfile

import pytest

from gateway.clock import ntp_synced
from gateway.ota.slots import look
from tests.support.eventually import wait_until
from tests.support.runnable import runtime, wheel
from tests.support.site import OLD, Site
from tests.unit.ota.publisher import Publisher

LIBRARY = wheel("msgpack", "1.0", {"msgpack/__init__.py": "ANSWER = 42\n", "msgpack/data/table.txt": "1\n"})


@pytest.fixture(scope="module")
def good(publisher):
    """A bundle of 1.2.0."""
    wheels = {"fieldpost": runtime("1.2.0"), "msgpack": LIBRARY}
    return publisher.bundle(publisher.release("1.2.0", wheels=wheels, installed_size=100_000, rollback_index=1))


@pytest.fixture
def site(tmp_path, publisher):
    return Site(tmp_path, publisher)


def test_a_release_becomes_a_slot_that_is_tried_and_runs(site, good):
    site.send(good)
    assert site.update() == 0, site.output
    trial = look(site.at).trial
    assert trial.job == "j1"
    assert trial.slot.startswith("1.2.0-")
    slot = site.at.releases / trial.slot
    assert site.run("boot") == 0, site.output
    assert site.selected == {"slot": trial.slot, "python": str(slot / "venv/bin/python3"), "trial": True}
    script = "import gateway.version as v, msgpack, sys; print(v.VERSION, msgpack.ANSWER, sys.prefix, v.__cached__)"
    done = subprocess.run([slot / "venv/bin/python3", "-I", "-c", script], capture_output=True, text=True, timeout=30)
    version, answer, prefix, cached = done.stdout.split()
    assert (version, answer, prefix) == ("1.2.0", "42", str(slot / "venv"))
    assert cached.startswith(str(slot))
    command = (slot / "venv/bin/fieldpost").read_text()
    assert f"{slot}/venv/bin/python3" in command
    assert ".tmp-" not in command, "scripts name the final place"
    assert b".tmp-" not in next(slot.rglob("version.cpython-*.pyc")).read_bytes()
    assert sorted(path.name for path in site.at.wheels.iterdir()) == sorted(
        f"{row['sha256']}.whl" for row in json.loads((slot / "release.json").read_text())["wheels"]
    )
    assert site.run("keep") == 0, site.output
    assert look(site.at).good == trial.slot


def test_the_same_job_again_changes_nothing(site, good):
    site.send(good)
    assert site.update() == 0
    before = site.at.state.read_bytes()
    assert site.update() == 0
    assert "is known" in site.output
    assert site.at.state.read_bytes() == before


def test_what_runs_already_is_a_success(site, good):
    site.send(good)
    site.update()
    site.run("boot")
    site.run("keep")
    site.send(good, job="j2")
    assert site.update() == 0, site.output
    assert site.outcome("j2") == ("SUCCEEDED", "installed")


def test_what_failed_here_is_not_staged_again(site, good):
    site.send(good)
    site.update()
    for _ in range(4):
        site.run("boot")
    site.run("gc")
    site.send(good, job="j2")
    assert site.update() == 1
    assert site.outcome("j2") == ("FAILED", "bad")
    assert site.untouched()


BEFORE = ("apply.recorded", "apply.verified", "floors.state-tmp", "floors.copy", "apply.wheel", "apply.folder",
          "apply.unpacked", "apply.installed", "apply.compiled", "apply.tested", "seal.marked", "seal.renamed",
          "apply.sealed", "apply.before-commit", "trial.state-tmp", "trial.state-bak")  # fmt: skip
OF_SLOTCTL = ("floors.", "seal.", "trial.")


@pytest.mark.parametrize("point", BEFORE)
def test_a_kill_before_the_commit_point_leaves_the_old_version_and_the_job_can_come_again(site, good, point):
    site.send(good)
    status = site.update(kill_at=point)
    assert status == (1 if point.startswith(OF_SLOTCTL) else -signal.SIGKILL), site.output
    assert look(site.at).phase == "IDLE"
    assert site.run("boot") == 0
    assert site.selected["slot"] == OLD
    job = "j2" if point.startswith(OF_SLOTCTL) else "j1"  # what the updater lived to see, it told
    site.send(good, job=job)
    assert site.update() == 0, site.output
    assert site.run("boot") == 0, site.output
    assert site.selected["slot"].startswith("1.2.0-")
    assert not list(site.at.releases.glob(".tmp-*"))
    assert not list(site.at.base.glob(".inbox-*"))


def test_a_slot_that_was_damaged_before_it_was_tried_is_staged_again(site, good):
    site.send(good)
    site.update(kill_at="apply.before-commit")
    (slot,) = site.at.releases.glob("1.2.0-*")
    damaged = next(slot.rglob("msgpack/__init__.py"))
    whole = damaged.read_bytes()
    damaged.write_bytes(bytes(len(whole)))
    assert site.update() == 0, site.output
    assert damaged.read_bytes() == whole
    assert site.run("boot") == 0
    assert site.selected["slot"] == slot.name


@pytest.mark.parametrize("point", ["trial.state-rename", "trial.state-done", "apply.committed"])
def test_a_kill_after_the_commit_point_leaves_a_trial_that_is_counted(site, good, point):
    site.send(good)
    site.update(kill_at=point)
    assert look(site.at).phase == "TRIAL"
    assert site.update() == 0, "the same job again is nothing new"
    assert site.run("boot") == 0
    assert site.selected["slot"].startswith("1.2.0-")
    assert look(site.at).trial.tries_left == 2


def _release(publisher, version, runtime_wheel=None, **keys):
    wheels = {"fieldpost": runtime_wheel or runtime(version), **keys.pop("more", {"msgpack": LIBRARY})}
    return publisher.bundle(publisher.release(version, wheels=wheels, **{"installed_size": 100_000, **keys}))


REFUSED = {
    "3.0.1": ({"compatible": {"platforms": ["linux_riscv64"]}}, "platform"),
    "3.0.2": ({"compatible": {"python": ["cp39"]}}, "python"),
    "3.0.3": ({"compatible": {"state_schema": [90, 91]}}, "schema"),
    "3.1.4": ({"compatible": {"state_writes": 90}}, "schema"),
    "3.0.4": ({"compatible": {"min_from": "99.0"}}, "min_from"),
    "3.0.5": ({"installed_size": 1 << 39}, "disk"),
    "3.0.6": ({"runtime_wheel": runtime("3.0.6", "import nothing_like_it\n")}, "selftest"),
    "3.0.7": ({"runtime_wheel": runtime("3.0.7", "import sys; sys.exit(3)\n")}, "selftest"),
    "3.0.8": ({"runtime_wheel": runtime("3.0.8", "print('[]')\n")}, "selftest"),
    "3.0.9": ({"more": {"odd0": b"no wheel"}}, "wheel"),
    "3.1.0": ({"more": {"odd1": wheel("odd1", "1.0", {"../../../../../escaped.py": ""})}}, "wheel"),
    "3.1.1": ({"more": {"odd2": wheel("odd2", "1.0", {"gateway/__init__.py": "stolen = 1"})}}, "wheel"),
    "3.1.2": ({"more": {"odd3": wheel("odd3", "1.0", {}, {"python3": "os:abort"})}}, "wheel"),
    "3.1.3": ({"more": {"odd4": wheel("odd4", "1.0", {}, {"../../x": "os:abort"})}}, "wheel"),
}


@pytest.mark.parametrize("version", REFUSED)
def test_a_release_that_does_not_fit_or_work_is_refused_and_nothing_is_left(site, publisher, version):
    keys, reason = REFUSED[version]
    site.send(_release(publisher, version, **keys), target=f"releases/fieldpost-{version}.json")
    assert site.update() == 1
    assert site.outcome() == ("FAILED", reason), site.output
    assert "Traceback" not in site.output
    assert site.untouched()
    assert not list(site.root.parent.rglob("escaped.py"))


def _changed(raw, change):
    """A wheel with the files that `change` gives back."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content, mode in change(files):
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return out.getvalue()


def _with_modes(files, mode=0o644):
    return [(name, content, mode) for name, content in files.items()]


RECORD = "odd-1.0.dist-info/RECORD"
LIES = {
    "4.1.0": lambda files: [*_with_modes(files), ("odd/more.py", b"x = 1", 0o644)],
    "4.1.1": lambda files: _with_modes({name: raw for name, raw in files.items() if name != RECORD}),
    "4.1.2": lambda files: _with_modes(files | {RECORD: b"\xff\xfe"}),
    "4.1.3": lambda files: _with_modes(files | {RECORD: files[RECORD].replace(b"sha256=", b"md5=")}),
    "4.1.4": lambda files: _with_modes(files | {RECORD: b"".join(row.split(b",")[0] + b",,\n" for row in files[RECORD].splitlines())}),
    "4.1.5": lambda files: [("odd/link", b"/etc/passwd", 0o120777), *_with_modes(files)],
    "4.1.6": lambda files: _with_modes({name.replace("odd/__init__", "o" * 300): raw for name, raw in files.items()}),
}  # fmt: skip


@pytest.mark.parametrize("version", LIES)
def test_a_wheel_whose_record_lies_is_refused(site, publisher, version):
    odd = _changed(wheel("odd", "1.0", {"odd/__init__.py": ""}), LIES[version])
    site.send(_release(publisher, version, more={f"odd{version}": odd}), target=f"releases/fieldpost-{version}.json")
    assert site.update() == 1
    assert site.outcome() == ("FAILED", "wheel"), site.output
    assert "Traceback" not in site.output
    assert site.untouched()


def test_no_file_of_a_slot_gets_more_rights_than_it_needs(site, publisher):
    odd = _changed(wheel("odd", "1.0", {"odd/tool": "#!/bin/sh\n"}), lambda files: _with_modes(files, 0o106777))
    site.send(_release(publisher, "4.2.0", more={"odd": odd}), target="releases/fieldpost-4.2.0.json")
    assert site.update() == 0, site.output
    (slot,) = site.at.releases.glob("4.2.0-*")
    modes = {path.lstat().st_mode & 0o7777 for path in slot.rglob("*") if path.is_file() and not path.is_symlink()}
    assert modes <= {0o644, 0o755}


def test_nobody_goes_back_behind_a_rollback_index(site, good, publisher):
    site.install(good, "j1")
    for _ in range(3):
        assert site.run("stopped", env={"SERVICE_RESULT": "success"}) == 0
    assert look(site.at).floors["rollback_index"] == 1
    site.send(_release(publisher, "4.3.0"), "j2", target="releases/fieldpost-4.3.0.json")
    assert site.update() == 1
    assert site.outcome("j2") == ("FAILED", "rollback")


def test_a_wheel_that_says_other_hashes_than_it_has_is_refused(site, publisher):
    honest = runtime("4.0.0")
    bundle = _release(publisher, "4.0.0", honest.replace(b"VERSION = '4.0.0'", b"VERSION = '4.0.1'"))
    site.send(bundle, target="releases/fieldpost-4.0.0.json")
    assert site.update() == 1
    assert site.outcome() == ("FAILED", "wheel")
    assert site.untouched()


def test_a_file_of_the_inbox_that_was_changed_is_refused(site, good):
    site.send(good)
    changed = max(site.at.inbox.rglob("*.whl"), key=lambda path: path.stat().st_size)
    changed.write_bytes(bytes(changed.stat().st_size))
    assert site.update() == 1
    assert site.outcome() == ("FAILED", "hash")
    assert site.untouched()


@pytest.mark.parametrize(
    "request_text",
    ["", "{", "[]", '{"job": "a/b"}', '{"job": "j\\n"}', '{"job": "j", "url": "http://x"}', "9" * 20_000],
)
def test_a_request_that_is_none_does_nothing(site, request_text):
    site.ask(request_text)
    assert site.update() == 1
    assert "Traceback" not in site.output
    assert site.untouched()


def test_a_machine_that_trusts_nobody_installs_nothing(site, good):
    site.at.factory_root.unlink()
    site.send(good)
    assert site.update() == 1
    assert site.outcome() == ("FAILED", "root")
    assert site.untouched()


def test_floors_are_kept_by_slotctl_and_hold_when_the_cache_is_lost(site, good):
    site.send(good)
    assert site.update() == 0
    floors = look(site.at).floors
    assert floors["root"] == 1
    assert floors["snapshot"] > 1
    assert json.loads((site.root / "var/lib/fieldpost-floor/floors.json").read_text())["snapshot"] == floors["snapshot"]


@pytest.mark.parametrize("instead", ["", '{"job": "j9"}'])
def test_a_request_that_was_taken_away_meanwhile_is_not_tried(site, good, instead):
    site.send(good)

    def take():
        wait_until(lambda: list(site.at.base.glob(".inbox-*")), 30, every=0.005)
        site.ask(instead) if instead else site.at.request.unlink()

    thread = threading.Thread(target=take)
    thread.start()
    status = site.update()
    thread.join(30)
    assert status == 1
    assert site.outcome() == ("CANCELLED", "cancelled"), site.output
    assert look(site.at).phase == "IDLE"
    site.ask({"job": "j2"})
    assert site.update() == 0, "what was staged is used when it is wanted again"


def test_wheels_that_are_here_need_not_be_sent_again(site, publisher, good):
    site.send(good)
    assert site.update() == 0, site.output
    site.run("boot")
    site.run("keep")
    bundle = _release(publisher, "1.3.0")
    site.send(bundle, job="j2", target="releases/fieldpost-1.3.0.json")
    (shared,) = site.at.inbox.rglob("*.msgpack-*.whl")
    kept = site.at.wheels / f"{shared.name.partition('.')[0]}.whl"
    shared.unlink()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1] + b"x")
    assert site.update() == 1
    assert site.outcome("j2") == ("FAILED", "hash"), "damaged since"
    kept.write_bytes(whole)
    site.ask({"job": "j3", "target": "releases/fieldpost-1.3.0.json"})
    assert site.update() == 0, site.output
    assert look(site.at).trial.slot.startswith("1.3.0-")
    assert kept.read_bytes() == whole


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    """A publisher whose timestamps have expired, and two bundles."""
    made = Publisher(tmp_path_factory.mktemp("late"))
    made.now = dt.datetime.now(dt.UTC) - dt.timedelta(days=40)
    made.repository.refresh(made.signers)
    first, second = (_release(made, version) for version in ("1.2.0", "1.3.0"))
    return made, first, second


def _accepted(site, job, version):
    site.at.waiver.write_text(json.dumps({"job": job, "timestamp": version}))


def test_an_expired_timestamp_is_taken_once_where_root_accepted_it_and_the_history_says_so(tmp_path, late):
    publisher, first, second = late
    site = Site(tmp_path, publisher)
    site.send(first, "j1")
    assert site.update() == 1
    assert site.outcome("j1")[1] in {"expired", "clock"}
    site.send(first, "j2")
    _accepted(site, "j2", 3)
    assert site.update() == 0, site.output
    assert not site.at.waiver.exists()
    assert (site.run("boot"), site.run("keep")) == (0, 0)
    assert look(site.at).job("j2")["waived"] == "timestamp"
    site.send(second, "j3")
    assert site.update() == 1, "it was for one job"
    assert site.outcome("j3")[1] in {"expired", "clock"}


@pytest.mark.parametrize(
    "text",
    [
        '{"job": "other", "timestamp": 3}',
        '{"job": "j1", "timestamp": 2}',
        '{"job": "j1"}',
        '{"job": "j1", "timestamp": 3, "all": true}',
        "",
        "true",
    ],
)
def test_what_was_accepted_is_for_its_job_and_its_timestamp_alone(tmp_path, late, text):
    publisher, first, _ = late
    site = Site(tmp_path, publisher)
    site.send(first, "j1")
    site.at.waiver.write_text(text)
    assert site.update() == 1
    assert site.outcome("j1")[1] in {"expired", "clock"}
    assert not site.at.waiver.exists()


def test_the_operators_word_for_the_clock_makes_an_expiry_final_while_only_root_can_change_it(tmp_path, late):
    site = Site(tmp_path, late[0])
    site.allow()
    (main := site.at.config / "gateway.yaml").write_text("clock: {trust: rtc}\n")
    for mode, wanted in ((0o664, "expired" if ntp_synced() else "clock"), (0o644, "expired")):
        main.chmod(mode)
        site.send(late[1], f"j{mode}")
        assert (site.update(), site.outcome(f"j{mode}")[1]) == (1, wanted)
    assert site.untouched()


@pytest.mark.parametrize("key", ["stale_timestamp", "accept_stale_timestamp", "timestamp", "waived", "vouched"])
def test_a_request_cannot_accept_anything(tmp_path, late, key):
    publisher, first, _ = late
    site = Site(tmp_path, publisher)
    site.send(first, "j1", **{key: 3})
    assert site.update() == 1
    assert "not a request" in site.output
    assert site.untouched()


# Only root can give a file to somebody else; where tests run without it (a laptop) this is a visible skip.
@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away: root")
def test_what_somebody_else_wrote_accepts_nothing(tmp_path, late):
    publisher, first, _ = late
    site = Site(tmp_path, publisher)
    site.send(first, "j1")
    _accepted(site, "j1", 3)
    os.chown(site.at.waiver, 1234, 1234)
    assert site.update() == 1
    assert site.outcome("j1")[1] in {"expired", "clock"}
