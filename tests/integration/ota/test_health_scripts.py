"""The site's own checks of a release that is tried: what they say, what is not run, what they cannot do to a gateway."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from gateway.ota import scripts


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "health.d"
    made.mkdir(mode=0o755)
    return made


def _add(folder, name, text, mode=0o755):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


def _run(folder, limit_s=20.0, owner=None):
    owner = os.geteuid() if owner is None else owner
    return asyncio.run(scripts.run_all(folder, "1.2.0-abc", limit_s=limit_s, owner=owner))


def test_without_checks_all_is_well(folder):
    assert _run(folder) == "ok"
    assert _run(folder / "missing") == "ok"
    assert scripts.names(folder / "missing") == []


def test_all_run_in_order_and_each_failure_is_told(folder, tmp_path):
    for name, text in (("20-b", "exit 0"), ("10-a", "echo; echo no answer >&2; echo more; exit 1"), ("30-c", "exit 7")):
        _add(folder, name, f"echo {name} >> {tmp_path}/order; {text}")
    assert scripts.names(folder) == ["10-a", "20-b", "30-c"]
    assert _run(folder) == "10-a: no answer; 30-c: ended with 7"
    assert (tmp_path / "order").read_text().split() == ["10-a", "20-b", "30-c"]


def test_a_check_knows_which_release_is_tried_and_nothing_of_the_gateway(folder, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
    _add(folder, "a", 'echo "$FIELDPOST_SLOT|$CREDENTIALS_DIRECTORY|$PWD"; exit 1')
    assert _run(folder) == "a: 1.2.0-abc||/"


def test_files_that_are_no_programs_are_passed_over(folder):
    _add(folder, "README", "exit 1", mode=0o644)
    _add(folder, ".hidden", "exit 1")
    assert scripts.names(folder) == []
    assert _run(folder) == "ok"


def test_what_others_could_have_changed_is_not_run(folder, tmp_path):
    ran = tmp_path / "ran"
    for name, mode in (("group", 0o775), ("world", 0o757), ("good", 0o755)):
        _add(folder, name, f"touch {ran}-{name}", mode)
    (folder / "link").symlink_to(folder / "good")
    said = _run(folder).split("; ")
    assert said == [
        f"group: not run: {folder}/group can be changed by others than root",
        f"link: not run: {folder}/link is a link",
        f"world: not run: {folder}/world can be changed by others than root",
    ]
    assert [path.name for path in tmp_path.glob("ran-*")] == ["ran-good"]
    assert _run(folder, owner=os.geteuid() + 1).count("can be changed by others than root") == 4
    folder.chmod(0o775)
    assert f"good: not run: {folder} can be changed by others than root" in _run(folder)


def test_a_check_that_does_not_end_is_ended_with_all_that_it_started(folder, tmp_path):
    _add(folder, "leaves", f"sleep 600 >/dev/null 2>&1 & echo $! > {tmp_path}/left")
    assert _run(folder) == "ok"
    _add(folder, "leaves", f"(sleep 600; touch {tmp_path}/late) & echo $! > {tmp_path}/pid; sleep 600")
    assert _run(folder, limit_s=1.5) == "leaves: did not end within 1.5 s"
    for name in ("pid", "left"):
        _gone(int((tmp_path / name).read_text()))


def _gone(pid):
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    raise AssertionError(f"{pid} is still there")


def test_a_gateway_that_stops_does_not_wait_for_a_check(folder, tmp_path):
    _add(folder, "hangs", f"echo $$ > {tmp_path}/pid; exec sleep 600")

    async def stopped():
        task = asyncio.create_task(scripts.run_all(folder, "s", owner=os.geteuid()))
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stopped())
    _gone(int((tmp_path / "pid").read_text()))


def test_output_is_bounded_and_made_of_letters(folder):
    _add(folder, "talks", "head -c 3000000 /dev/zero | tr '\\0' x; exit 1")
    _add(folder, "writes", "printf 'a\\033[31mb\\377\\n'; exit 1")
    assert _run(folder) == f"talks: {'x' * 200}; writes: a?[31mb\N{REPLACEMENT CHARACTER}"


def test_a_check_that_cannot_be_started_has_failed(folder):
    _add(folder, "a", "exit 0").write_text("#!/nonexistent/shell\n")
    assert _run(folder) == "a: does not start: No such file or directory"


def test_there_are_not_more_than_a_gateway_can_run(folder):
    for number in range(scripts.MOST_SCRIPTS + 1):
        _add(folder, f"c{number:02d}", "exit 0")
    assert _run(folder) == "17 programs, 16 are run"
