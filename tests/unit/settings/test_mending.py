"""Damaged generations: what can be run is run, what cannot be read is moved aside and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.settings.generations import GenerationError, Generations
from gateway.settings.tree import read_tree

FILES = {"gateway.yaml": b"gateway: {id: gw}\n", "channels/a.yaml": b"driver: sim\n"}
DAMAGE = {
    "truncated": lambda data: data[: len(data) // 2],
    "emptied": lambda _data: b"",
    "zeroed": lambda data: bytes(len(data)),
    "flipped": lambda data: bytes([*data[:5], data[5] ^ 0x40, *data[6:]]),
    "garbage": lambda data: bytes(range(200, 256)) * 3,
    "deleted": None,
}


def site(tmp_path: Path, count: int = 1) -> Generations:
    generations = Generations(tmp_path)
    for number in range(count):
        files = FILES | {"channels/a.yaml": b"driver: sim  # %d\n" % number}
        generations.activate(generations.create(files, hash=f"h{number}"))
    return generations


def spoil(file: Path, how: str) -> None:
    change = DAMAGE[how]
    if change is None:
        file.unlink()
    else:
        file.write_bytes(change(file.read_bytes()))


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("name", ["manifest.json", "files/gateway.yaml", "files/channels/a.yaml"])
def test_a_damaged_active_generation_gives_way_to_the_newest_intact_one(tmp_path: Path, name: str, how: str) -> None:
    spoil(site(tmp_path, 3).folder(3) / name, how)
    again = Generations(tmp_path)
    assert again.recover() is None
    active = again.active()
    assert active is not None
    assert active.number == 2
    assert active.files()["channels/a.yaml"] == b"driver: sim  # 1\n"
    assert "generation 3 was damaged" in again.damage[0]
    assert Generations(tmp_path).recover() is None


@pytest.mark.parametrize("how", [how for how in DAMAGE if how != "deleted"])
def test_a_damaged_state_file_gives_way_to_the_newest_intact_generation(tmp_path: Path, how: str) -> None:
    generations = site(tmp_path, 2)
    spoil(generations.state_file, how)
    again = Generations(tmp_path)
    with pytest.raises(GenerationError, match=r"damaged|another release"):
        again.active()
    again.recover()
    active = again.active()
    assert active is not None
    assert active.number == 2
    assert again.damage


def test_with_nothing_intact_left_the_folder_may_begin_anew(tmp_path: Path) -> None:
    generations = site(tmp_path)
    spoil(generations.folder(1) / "manifest.json", "zeroed")
    again = Generations(tmp_path)
    again.recover()
    assert again.active() is None
    fresh = again.create(FILES)
    again.activate(fresh)
    assert again.active() == fresh


def test_damage_of_a_change_on_trial_brings_back_what_was_confirmed(tmp_path: Path) -> None:
    generations = site(tmp_path, 3)
    generations.rollback(2)
    generations.activate(generations.get(3), confirm_within_s=60)
    spoil(generations.folder(3) / "files/gateway.yaml", "flipped")
    again = Generations(tmp_path)
    again.recover()
    active = again.active()
    assert active is not None
    assert active.number == 2
    assert again.pending() is None


def test_what_was_moved_aside_is_kept_but_not_without_bound(tmp_path: Path) -> None:
    for _ in range(6):
        generations = site(tmp_path)
        spoil(generations.state_file, "garbage")
        Generations(tmp_path).recover()
    kept = list((generations.state_file.parent / "damaged").iterdir())
    assert 1 <= len(kept) <= 3


def test_an_intact_state_is_left_alone(tmp_path: Path) -> None:
    generations = site(tmp_path, 2)
    before = generations.state_file.read_bytes()
    again = Generations(tmp_path)
    again.recover()
    assert again.damage == []
    assert generations.state_file.read_bytes() == before


@pytest.mark.parametrize("name", ["channels/c.yaml", "gateway.yaml", "channels"])
@pytest.mark.parametrize("kind", ["folder", "dangling", "loop", "fifo"])
def test_what_is_no_file_never_counts_as_absent(tmp_path: Path, name: str, kind: str) -> None:
    import os

    if (name, kind) == ("channels", "folder"):
        kind = "file"
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.write_text("x")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(path if kind == "loop" else tmp_path / "nowhere")
    if name != "gateway.yaml":
        (tmp_path / "gateway.yaml").write_text("gateway: {id: gw}\n")
    with pytest.raises(ConfigError) as caught:
        read_tree(tmp_path)
    assert [problem.file for problem in caught.value.problems] == [name]
    assert "this is " in caught.value.problems[0].message
