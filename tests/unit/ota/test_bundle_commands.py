"""`fieldpost bundle`: from wheels to a bundle that a gateway would take, and what goes wrong on the way."""

from __future__ import annotations

import contextlib
import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from gateway.ota import building
from tests.support.runnable import driver, wheel
from tests.unit.ota.wheels import complete


def run(*words: str | Path) -> tuple[int, str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(["bundle", *map(str, words)])
    return code, out.getvalue()


def data(*words: str | Path) -> Any:
    code, text = run(*words, "--json")
    assert code == 0, text
    return json.loads(text)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    assert run("init", "--repo", tmp_path / "repo", "--keys", tmp_path / "keys")[0] == 0
    complete(tmp_path / "wheels")
    return tmp_path


def signed(place: Path, version: str = "1.1.0") -> Path:
    complete(place / f"wheels-{version}", version)
    words = ("--platform", "linux_aarch64", "--python", "cp311")
    data("build", place / f"wheels-{version}", "-o", place / version, *words)
    return Path(data("sign", place / version, "--repo", place / "repo", "--keys", place / "keys")["bundle"])


def test_from_wheels_to_a_bundle_that_is_verified(place: Path) -> None:
    answer = data("verify", signed(place), "--root", place / "repo" / "metadata" / "1.root.json")
    assert (answer["name"], answer["version"], len(answer["wheels"])) == ("fieldpost", "1.1.0", 2)
    assert answer["slot"].startswith("1.1.0-")


def test_keys_are_for_their_owner_alone(place: Path) -> None:
    assert {path.name: path.stat().st_mode & 0o777 for path in (place / "keys").iterdir()} == dict.fromkeys(
        ("root-1.pem", "targets-1.pem", "snapshot-1.pem", "timestamp-1.pem"), 0o600
    )
    (place / "keys" / "targets-1.pem").chmod(0o644)
    code, text = run("refresh", "--repo", place / "repo", "--keys", place / "keys")
    assert (code, "can be read by others" in text) == (1, True)


def test_keys_with_a_password_need_it(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    words = ("--repo", tmp_path / "repo", "--keys", tmp_path / "keys")
    assert run("init", *words, "--password-file", tmp_path / "password")[0] == 0
    assert b"ENCRYPTED" in (tmp_path / "keys" / "root-1.pem").read_bytes()
    assert "is encrypted: --password-file" in run("refresh", *words)[1]
    (tmp_path / "wrong").write_text("other\n")
    assert "the password is wrong" in run("refresh", *words, "--password-file", tmp_path / "wrong")[1]
    assert run("refresh", *words, "--password-file", tmp_path / "password")[0] == 0


def test_two_of_three_root_keys_are_enough_and_one_is_not(tmp_path: Path) -> None:
    words = ("--repo", tmp_path / "repo", "--keys", tmp_path / "keys")
    assert run("init", *words, "--root-keys", "3", "--root-threshold", "2")[0] == 0
    (tmp_path / "keys" / "root-3.pem").rename(tmp_path / "away.pem")
    assert data("rotate", "timestamp", *words)["root_version"] == 2
    (tmp_path / "keys" / "root-2.pem").unlink()
    code, text = run("rotate", "timestamp", *words)
    assert (code, "root needs more of its keys" in text) == (1, True)
    rows = {row["role"]: row for row in data("show", "--repo", tmp_path / "repo")["roles"]}
    assert (rows["root"]["version"], rows["root"]["threshold"], rows["root"]["keys"]) == (2, 2, 3)


def test_a_withdrawn_release_is_not_shown(place: Path) -> None:
    signed(place)
    assert data("show", "--repo", place / "repo")["releases"] == ["releases/fieldpost-1.1.0.json"]
    data("withdraw", "1.1.0", "--repo", place / "repo", "--keys", place / "keys")
    assert data("show", "--repo", place / "repo")["releases"] == []
    assert run("withdraw", "1.1.0", "--repo", place / "repo", "--keys", place / "keys")[0] == 1


def test_another_root_refuses_a_bundle(place: Path, tmp_path: Path) -> None:
    bundle = signed(place)
    run("init", "--repo", tmp_path / "other", "--keys", tmp_path / "others")
    code, text = run("verify", bundle, "--root", tmp_path / "other" / "metadata" / "1.root.json")
    assert (code, "refused" in text) == (1, True)


def _driver(place: Path, version: str = "2.1.0", **keys: Any) -> Path:
    path = place / f"acme_driver-{version}-py3-none-any.whl"
    path.write_bytes(driver("acme", version, **keys))
    return path


def _vendor(place: Path) -> tuple[str | Path, ...]:
    """A vendor with a key that is known here; the words that sign as it."""
    public = data("vendor", "key", "acme", "--keys", place / "vendor-keys")["public"]
    data("vendor", "add", "acme", "--key", public, "--repo", place / "repo", "--keys", place / "keys")
    return "--vendor", "acme", "--keys", place / "vendor-keys", "-o", place / "of-acme"


def test_a_driver_goes_from_its_vendor_through_the_repository_to_a_bundle(place: Path) -> None:
    words = _vendor(place)
    assert (place / "vendor-keys" / "drivers-acme-1.pem").stat().st_mode & 0o777 == 0o600
    answer = data("driver", _driver(place), *words)
    assert answer["packages"] == ["drivers/acme/acme-driver-2.1.0.json"]
    (row,) = data("sign", place / "of-acme", "--repo", place / "repo", "--keys", place / "keys")["packages"]
    shown = data("verify", row["bundle"], "--root", place / "repo" / "metadata" / "1.root.json")
    assert (shown["vendor"], shown["name"], shown["version"], shown["requires_api"]) == (
        "acme", "acme-driver", "2.1.0", 1,
    )  # fmt: skip
    assert shown["fits"] == "it runs on a machine like this one"
    assert data("show", "--repo", place / "repo")["vendors"] == {"acme": ["drivers/acme/acme-driver-2.1.0.json"]}
    assert data("driver", *words)["set"] == 2, "signed anew"
    assert data("sign", place / "of-acme", "--repo", place / "repo", "--keys", place / "keys")["packages"] == []
    data("vendor", "rm", "acme", "--repo", place / "repo", "--keys", place / "keys")
    assert data("show", "--repo", place / "repo")["vendors"] == {}


def test_a_release_may_bring_a_driver_along(place: Path) -> None:
    data("driver", _driver(place), *_vendor(place))
    data("sign", place / "of-acme", "--repo", place / "repo", "--keys", place / "keys")
    words = ("--platform", "linux_aarch64", "--python", "cp311")
    description = place / "of-acme" / "drivers" / "acme" / "acme-driver-2.1.0.json"
    data("build", place / "wheels", "-o", place / "1.1.0", *words, "--driver", description)
    bundle = data("sign", place / "1.1.0", "--repo", place / "repo", "--keys", place / "keys")["bundle"]
    shown = data("verify", bundle, "--root", place / "repo" / "metadata" / "1.root.json")
    assert [wheel["name"] for wheel in shown["wheels"]] == ["fieldpost", "msgpack", "acme-driver"]


def test_a_driver_for_another_contract_says_so(place: Path) -> None:
    data("driver", _driver(place), *_vendor(place), "--requires-api", "7")
    (row,) = data("sign", place / "of-acme", "--repo", place / "repo", "--keys", place / "keys")["packages"]
    code, text = run("verify", row["bundle"], "--root", place / "repo" / "metadata" / "1.root.json")
    assert (code, "driver contract 7, this release has 1" in text) == (0, True)


@pytest.mark.parametrize(
    "words",
    [
        ("vendor", "add", "acme", "--key", "nowhere.pub", "--repo", "repo", "--keys", "keys"),
        ("vendor", "add", "acme", "--key", "keys/root-1.pem", "--repo", "repo", "--keys", "keys"),
        ("vendor", "add", "Acme!", "--key", "vendor-keys/drivers-acme-1.pub", "--repo", "repo", "--keys", "keys"),
        ("vendor", "add", "new", "--key", "vendor-keys/drivers-acme-1.pub", "--repo", "repo", "--keys", "vendor-keys"),
        ("vendor", "rm", "nobody", "--repo", "repo", "--keys", "keys"),
        ("vendor", "key", "../x", "--keys", "vendor-keys"),
        ("driver", "nowhere.whl", "--vendor", "acme", "--keys", "vendor-keys", "-o", "out"),
        ("driver", "--vendor", "acme", "--keys", "vendor-keys", "-o", "out"),
        ("driver", "acme_driver-2.1.0-py3-none-any.whl", "--vendor", "other", "--keys", "vendor-keys", "-o", "out"),
        ("build", "wheels", "-o", "out", "--driver", "nowhere.json"),
        ("build", "wheels", "-o", "out", "--driver", "keys/root-1.pem"),
        ("sign", "of-acme", "--repo", "repo", "--keys", "vendor-keys"),
    ],
)
def test_what_cannot_be_done_with_vendors_is_told_in_one_line(
    place: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    data("driver", _driver(place), *_vendor(place))
    test_what_cannot_be_done_is_told_in_one_line(place, words, monkeypatch)
    assert not (place / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("sign", "nowhere", "--repo", "repo", "--keys", "keys"),
        ("show", "--repo", "nowhere"),
        ("verify", "nowhere", "--root", "repo/metadata/1.root.json"),
        ("verify", "keys/root-1.pem", "--root", "repo/metadata/1.root.json"),
        ("build", "nowhere", "-o", "out"),
        ("build", "keys", "-o", "out"),
        ("build", "wheels", "-o", "repo"),
        ("init", "--repo", "repo", "--keys", "keys"),
        ("init", "--repo", "repo", "--keys", "fresh"),
        ("init", "--repo", "new", "--keys", "new-keys", "--root-threshold", "2"),
        ("refresh", "--repo", "repo", "--keys", "nowhere"),
        ("refresh", "--repo", "repo", "--keys", "wheels"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    place: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    code, text = run(*words)
    assert code in {1, 2}
    assert text.startswith("fieldpost: ")
    assert "bug in Fieldpost" not in text
    assert text.count("\n") == 1


def test_a_wheel_that_leaves_its_folder_is_neither_built_nor_verified(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--platform", "linux_aarch64", "--python", "cp311")
    with zipfile.ZipFile(next((place / "wheels").glob("msgpack-*.whl")), "a") as archive:
        archive.writestr(zipfile.ZipInfo("../../x"), "")
    code, text = run("build", place / "wheels", "-o", place / "out", *words)
    assert (code, "msgpack-1.1" in text, "`../../x` in it leaves its folder" in text) == (1, True, True)
    assert not (place / "out").exists()
    with monkeypatch.context() as patched:  # somebody else's tool built it
        patched.setattr(building, "check_wheels", lambda _: None)
        data("build", place / "wheels", "-o", place / "out", *words)
    bundle = data("sign", place / "out", "--repo", place / "repo", "--keys", place / "keys")["bundle"]
    code, text = run("verify", bundle, "--root", place / "repo" / "metadata" / "1.root.json")
    assert (code, "`../../x` in it leaves its folder" in text) == (1, True)


def test_a_driver_that_changes_the_gateway_is_not_signed(place: Path) -> None:
    path = place / "acme_driver-2.1.0-py3-none-any.whl"
    path.write_bytes(wheel("acme-driver", "2.1.0", {"gateway/x.py": ""}, drivers={"acme": "gateway.x:SPEC"}))
    code, text = run("driver", path, *_vendor(place))
    assert (code, "`gateway` in it is the gateway's own" in text) == (1, True)


def test_a_clock_before_the_release_was_made_verifies_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = signed(place)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    code, text = run("verify", bundle, "--root", place / "repo" / "metadata" / "1.root.json")
    assert (code, "the clock of this machine says 1970-01-01" in text) == (1, True)


_SIGNING = [
    ("sign", "1.1.0"),
    ("sign", "of-acme"),
    ("refresh",),
    ("rotate", "timestamp"),
    ("withdraw", "1.1.0"),
    ("vendor", "add", "new", "--key", "vendor-keys/drivers-acme-1.pub"),
    ("vendor", "rm", "acme"),
    ("config", "tree", "--rev", "7", "--gateway", "gw-1"),
]


@pytest.mark.parametrize("years", [-56, -0.1, 3, 14])
def test_a_clock_that_cannot_be_right_signs_nothing(place: Path, monkeypatch: pytest.MonkeyPatch, years: float) -> None:
    signed(place)
    vendor = _vendor(place)
    data("driver", _driver(place), *vendor)
    _tree(place, "gateway: {id: gw-1}\n")
    monkeypatch.chdir(place)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    wrong = time.time() + years * 365 * 86400
    monkeypatch.setattr(time, "time", lambda: wrong)
    for words in _SIGNING:
        code, text = run(*words, "--repo", "repo", "--keys", "keys")
        assert (code, "the clock of this machine says" in text) == (1, True), words
        assert text.endswith("set it; if it is right, --accept-clock\n")
    assert "the clock of this machine says" in run("driver", *vendor)[1]
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    assert run("refresh", "--repo", "repo", "--keys", "keys", "--accept-clock")[0] == 0


@pytest.mark.parametrize("years", [-56, 14])
def test_no_repository_begins_by_such_a_clock(place: Path, monkeypatch: pytest.MonkeyPatch, years: int) -> None:
    wrong = time.time() + years * 365 * 86400
    monkeypatch.setattr(time, "time", lambda: wrong)
    words = "--repo", place / "second", "--keys", place / "second-keys"
    code, text = run("init", *words)
    assert (code, "the clock of this machine says" in text) == (1, True)
    assert not (place / "second").exists()
    assert not (place / "second-keys").exists()
    assert run("init", *words, "--accept-clock")[0] == 0


def test_the_same_driver_again_is_nothing_to_do_and_another_of_its_version_is_refused(place: Path) -> None:
    words, path = _vendor(place), _driver(place)
    data("driver", path, *words)
    metadata = place / "of-acme" / "drivers-acme.json"
    package = place / "of-acme" / "drivers" / "acme" / "acme-driver-2.1.0.json"
    package_before, before = package.read_bytes(), metadata.read_bytes()
    while building.created() == json.loads(package_before)["created"]:
        time.sleep(0.05)
    code, text = run("driver", path, *words)
    assert (code, "is signed already, and is the same: nothing to do" in text) == (0, True), text
    assert (package.read_bytes(), metadata.read_bytes()) == (package_before, before)
    code, text = run("driver", _driver(place, source="# other\n"), *words)
    assert (code, "another content: raise the version" in text) == (1, True)
    code, text = run("driver", _driver(place), *words, "--notes", "https://acme.example/notes")
    assert (code, "another content: raise the version" in text) == (1, True)


def test_vendors_are_listed_with_their_keys_and_a_second_key_is_told(place: Path) -> None:
    words = "--repo", place / "repo"
    assert "there are no vendors here" in run("vendor", "ls", *words)[1]
    data("driver", _driver(place), *_vendor(place))
    (row,) = data("vendor", "ls", *words)["vendors"]
    assert (row["vendor"], len(row["keys"]), row["packages"]) == ("acme", 1, [])
    data("sign", place / "of-acme", *words, "--keys", place / "keys")
    assert f"drivers/acme/acme-driver-2.1.0.json; key {row['keys'][0]}\n" in run("vendor", "ls", *words)[1]
    code, text = run("vendor", "key", "acme", "--keys", place / "vendor-keys")
    assert (code, "acme has 2 keys here (drivers-acme-1.pem, drivers-acme-2.pem)" in text) == (0, True)
    assert data("vendor", "ls", *words)["vendors"][0]["keys"] == row["keys"], "the publisher has not been told"


def _tree(place: Path, text: str) -> tuple[str | Path, ...]:
    (place / "tree").mkdir()
    (place / "tree" / "gateway.yaml").write_text(text, encoding="utf-8")
    return "config", place / "tree", "--rev", "7", "--repo", place / "repo", "--keys", place / "keys"


def test_a_configuration_is_signed_for_its_gateway(place: Path) -> None:
    words = _tree(place, "gateway: {id: gw-1}\n")
    assert data(*words, "--gateway", "gw-1")["target"] == "configs/gw-1/7.json"


def test_a_configuration_of_another_gateway_is_not_signed(place: Path) -> None:
    words = _tree(place, "gateway: {id: gw-2}\n")
    code, text = run(*words, "--gateway", "gw-1")
    assert (code, "is the configuration of gw-2, not of gw-1" in text) == (2, True)
    assert not (place / "keys" / "configs-1.pem").exists()


def test_a_configuration_that_its_gateway_would_refuse_is_not_signed(place: Path) -> None:
    text = "gateway: {id: gw-1}\nuplinks:\n  a: {urls: [mqtts://x.example], username: me, password: hunter2}\n"
    words = _tree(place, text)
    code, text = run(*words, "--gateway", "gw-1")
    assert (code, "gateway.yaml:3:" in text, "hunter2" in text) == (78, True, False)
    assert not (place / "keys" / "configs-1.pem").exists()
    assert data(*words, "--gateway", "gw-1", "--unchecked")["rev"] == 7


def test_help_and_reference_know_all_actions() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    for action in ("init", "build", "sign", "verify", "rotate", "refresh", "withdraw", "show", "vendor", "driver"):
        assert f"`fieldpost bundle {action}" in page


def test_a_release_says_how_long_it_is_watched(place: Path) -> None:
    words = ("build", place / "wheels", "--platform", "linux_aarch64", "--python", "cp311")
    assert run(*words, "-o", place / "r", "--soak", "30m", "--confirm", "1h", "--tries", "2")[0] == 0
    health = json.loads((place / "r" / "release.json").read_text())["health"]
    assert health == {"confirm_s": 3600, "soak_s": 1800, "tries": 2}
    code, text = run(*words, "-o", place / "s", "--soak", "1h", "--confirm", "1h")
    assert (code, "--soak has to be shorter than --confirm" in text) == (2, True)
    assert not (place / "s").exists()
