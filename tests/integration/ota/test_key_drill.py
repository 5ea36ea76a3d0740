"""Keys as a fleet keeps them: three of root in three places, two that sign releases; all of them replaced, and gateways
that follow by themselves.
"""

import contextlib
import io
import json
import shutil
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.ota.slots import look
from tests.support.runnable import runtime
from tests.support.site import Site


class Office:
    """The publisher's desk: a repository, and folders of keys that are brought together when they are needed."""

    def __init__(self, folder):
        self.folder = folder
        self.factory_root = b""

    def run(self, *words, fail=False):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = main(["bundle", *map(str, words), "--json"])
        assert (code != 0) is fail, out.getvalue()
        return out.getvalue() if fail else json.loads(out.getvalue())

    def with_keys(self, *folders):
        words = ["--repo", self.folder / "repo"]
        for folder in folders:
            words += ["--keys", self.folder / folder]
        return words

    def put(self, pattern, folder, source="keys"):
        (self.folder / folder).mkdir(mode=0o700, exist_ok=True)
        for path in (self.folder / source).glob(pattern):
            path.rename(self.folder / folder / path.name)

    def build(self, version):
        wheels = self.folder / f"wheels-{version}"
        wheels.mkdir()
        (wheels / f"fieldpost-{version}-py3-none-any.whl").write_bytes(runtime(version))
        self.run("build", wheels, "-o", self.folder / version)
        return self.folder / version

    def machine(self, folder):
        """A gateway that left the factory with the first root."""
        site = Site(folder, self)
        site.at.factory_root.write_bytes(self.factory_root)
        return site


@pytest.fixture
def office(tmp_path):
    made = Office(tmp_path)
    words = ("--root-keys", 3, "--root-threshold", 2, "--targets-keys", 2, "--targets-threshold", 2)
    made.run("init", *made.with_keys("keys"), *words)
    made.factory_root = (tmp_path / "repo/metadata/1.root.json").read_bytes()
    for place in (1, 2, 3):
        made.put(f"root-{place}.pem", f"safe-{place}")
    made.put("targets-1.pem", "manager")
    made.put("targets-2.pem", "builder")
    made.put("*.pem", "online")
    return made


def test_one_of_two_signs_no_release_and_both_do(office, tmp_path):
    folder = office.build("1.2.0")
    for alone in ("manager", "builder"):
        assert "targets needs 2 of its keys, 1 given" in office.run(
            "sign", folder, *office.with_keys(alone, "online"), fail=True
        )
    office.run("sign", folder, *office.with_keys("manager", "builder"), fail=True)  # nor without those that are online
    bundle = office.run("sign", folder, *office.with_keys("manager", "builder", "online"))["bundle"]
    site = office.machine(tmp_path / "machine")
    assert site.install(Path(bundle), "j1").startswith("1.2.0-")


def test_all_keys_are_replaced_and_gateways_follow(office, tmp_path):
    both = ("manager", "builder", "online")
    site = office.machine(tmp_path / "machine")
    site.install(Path(office.run("sign", office.build("1.2.0"), *office.with_keys(*both))["bundle"]), "j1")
    # one root key is lost, one is stolen: two are enough to replace all three, one is not
    shutil.rmtree(tmp_path / "safe-3")
    assert "root needs more of its keys" in office.run("rotate", "root", *office.with_keys("safe-1"), fail=True)
    assert len(list((tmp_path / "safe-1").iterdir())) == 1, "keys of a rotation that was refused are gone"
    assert office.run("rotate", "root", *office.with_keys("safe-1", "safe-2"))["root_version"] == 2
    (tmp_path / "fresh").mkdir(mode=0o700)
    for path in (tmp_path / "safe-1").glob("*.pem"):
        if path.name != "root-1.pem":
            path.rename(tmp_path / "fresh" / path.name)
    assert len(list((tmp_path / "fresh").iterdir())) == 3
    # the old quorum replaces nothing more
    (tmp_path / "try").mkdir(mode=0o700)
    said = office.run("rotate", "timestamp", *office.with_keys("try", "safe-1", "safe-2", "online"), fail=True)
    assert "root needs" in said
    office.run("rotate", "targets", *office.with_keys("new", "fresh", *both))
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"targets-1.pem", "targets-2.pem"}
    folder = office.build("1.3.0")
    assert "targets needs 2 of its keys, 0 given" in office.run("sign", folder, *office.with_keys(*both), fail=True)
    bundle = office.run("sign", folder, *office.with_keys("new", "online"))["bundle"]
    assert site.install(Path(bundle), "j2").startswith("1.3.0-")
    assert look(site.at).floors["root"] == 3
    late = office.machine(tmp_path / "late")
    assert late.install(Path(bundle), "j1").startswith("1.3.0-"), "from the first root over the second to the third"
