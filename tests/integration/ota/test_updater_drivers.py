"""Driver packages on a machine: the release that runs with one package more, in a slot of its own, tried like a release."""

import json
import subprocess

import pytest

from gateway.ota.slots import look
from tests.support.runnable import driver, runtime, wheel
from tests.support.site import OLD, Site
from tests.unit.ota.publisher import Maker

LOADS = """\
import sys
from importlib.metadata import entry_points
for name in sys.argv[3:]:
    entry_points(group="fieldpost.drivers")[name].load()
print('{"unusable": []}')
"""
LIBRARY = wheel("msgpack", "1.0", {"msgpack/__init__.py": "ANSWER = 42\n"})
SPEC = "SPEC = 'of {}'\n"


@pytest.fixture(scope="module")
def maker(tmp_path_factory, publisher):
    made = Maker(tmp_path_factory.mktemp("vendor"))
    publisher.admit(made)
    return made


@pytest.fixture(scope="module")
def release(publisher):
    """Makes bundles of releases."""

    def make(version, **keys):
        wheels = {"fieldpost": runtime(version, keys.pop("selftest", LOADS)), **keys.pop("more", {"msgpack": LIBRARY})}
        return publisher.bundle(publisher.release(version, wheels=wheels, installed_size=100_000, **keys))

    return make


@pytest.fixture(scope="module")
def good(release):
    return release("1.2.0")


@pytest.fixture(scope="module")
def package(publisher, maker):
    """Makes bundles of driver packages."""

    def make(version, *wheels, name="acme", source=None, needs=(), **described):
        own = driver(name, version, SPEC.format(version) if source is None else source, needs)
        made = maker.sign((f"{name}_driver-{version}-py3-none-any.whl", own), *wheels, **described)
        publisher.publish(maker)
        return publisher.bundle(made)

    return make


@pytest.fixture(scope="module")
def first(package):
    return package("2.0")


@pytest.fixture(scope="module")
def installed(tmp_path_factory, publisher, good):
    """A machine that runs release 1.2.0 and allows the vendor's drivers."""
    made = Site(tmp_path_factory.mktemp("machine"), publisher)
    made.install(good, "j0")
    made.allow("acme/*")
    return made


@pytest.fixture
def site(installed, tmp_path):
    """A copy of it."""
    return installed.copy(tmp_path / "machine")


def _loads(site, name="acme"):
    script = f"import {name}_driver, gateway.version; print({name}_driver.SPEC, gateway.version.VERSION)"
    python = site.at.releases / look(site.at).good / "venv/bin/python3"
    done = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, timeout=30)
    return (done.stdout or done.stderr.splitlines()[-1]).strip()


def _packages(site):
    path = site.at.releases / look(site.at).good / "drivers.json"
    return [(one["name"], one["version"]) for one in json.loads(path.read_text())["packages"]] if path.exists() else []


def _refused(site, bundle, job="j9", **more):
    before = look(site.at).good
    site.send(bundle, job, **more)
    assert site.update() == 1
    assert "Traceback" not in site.output
    assert (look(site.at).good, look(site.at).phase) == (before, "PROBATION")
    assert not list(site.at.releases.glob(".tmp-*"))
    return site.outcome(job)


def test_a_driver_is_the_release_that_runs_with_a_package_more(site, first):
    before = look(site.at).good
    slot = site.install(first, "j1")
    assert slot.startswith("1.2.0-")
    assert slot != before
    assert _loads(site) == "of 2.0 1.2.0"
    assert _packages(site) == [("acme-driver", "2.0")]
    rows = json.loads((site.at.releases / slot / "release.json").read_text())
    assert [one["file"] for one in rows["drivers"]] == ["drivers/acme/acme_driver-2.0-py3-none-any.whl"]
    assert site.run("gc") == 0
    kept = {path.name for path in site.at.wheels.iterdir()}
    assert {f"{one['sha256']}.whl" for one in (*rows["wheels"], *rows["drivers"])} == kept
    site.send(first, "j2")
    assert site.update() == 0
    assert site.outcome("j2") == ("SUCCEEDED", "installed")
    assert site.run("rollback") in {0, 1}
    assert look(site.at).good == before


def test_another_version_takes_the_place_of_the_one_before(site, first, package):
    site.install(first, "j1")
    site.install(package("2.1"), "j2", target="drivers/acme/acme-driver-2.1.json")
    assert _packages(site) == [("acme-driver", "2.1")]
    assert _loads(site) == "of 2.1 1.2.0"


def test_a_release_keeps_the_drivers_and_one_that_brings_them_has_its_own(site, first, release, publisher, package):
    site.install(first, "j1")
    site.install(release("1.3.0"), "j2")
    assert _loads(site) == "of 2.0 1.3.0"
    package("2.2")
    repository = publisher.repository
    info = repository.vendors["acme"].targets["drivers/acme/acme_driver-2.2-py3-none-any.whl"]
    row = {"name": "acme-driver", "version": "2.2", "file": info.path, "size": info.length}
    site.install(release("1.4.0", drivers=[{**row, "sha256": info.hashes["sha256"]}]), "j3")
    assert _loads(site) == "of 2.2 1.4.0"
    assert _packages(site) == []


def test_a_driver_that_is_not_allowed_any_more_is_left_out_of_the_next_slot(site, first, release):
    site.install(first, "j1")
    site.allow("other/*")
    site.install(release("1.3.1"), "j2")
    assert _packages(site) == []
    assert "No module named" in _loads(site)


def test_a_driver_that_the_operator_does_not_allow_is_refused(site, first):
    site.allow("other/*")
    assert _refused(site, first) == ("FAILED", "allow")
    site.allow("acme/*")
    site.at.config.chmod(0o777)
    assert _refused(site, first, "j8") == ("FAILED", "allow")
    assert "chmod go-w" in site.output


REFUSED = {
    "3.0": ({"requires_api": 7}, "api"),
    "3.1": ({"platform": "linux_riscv64", "python": ""}, "platform"),
    "3.2": ({"python": "cp39"}, "python"),
    "3.3": ({"min_from": "99.0"}, "min_from"),
    "3.4": ({"source": "import nothing_like_it\n"}, "selftest"),
    "3.5": ({"needs": ["msgpack>=2"]}, "incomplete"),
    "3.6": ({"needs": ["not-there"]}, "incomplete"),
}


@pytest.mark.parametrize("version", REFUSED)
def test_a_driver_that_does_not_fit_or_load_is_refused(site, package, version):
    keys, reason = REFUSED[version]
    bundle = package(version, **keys)
    assert _refused(site, bundle, target=f"drivers/acme/acme-driver-{version}.json") == ("FAILED", reason), site.output


def test_of_a_driver_that_ends_python_it_is_told_that_no_answer_came(site, package):
    bundle = package("3.7", source="import os\nos._exit(0)\n")
    assert _refused(site, bundle, target="drivers/acme/acme-driver-3.7.json") == ("FAILED", "selftest")
    assert "the self-test ended without an answer, with exit status 0" in site.output


def test_a_driver_that_changes_the_gateway_is_refused(site, package):
    helper = ("helper-4.0-py3-none-any.whl", wheel("helper", "4.0", {"gateway/more.py": "x = 1\n"}))
    bundle = package("4.0", helper)
    assert _refused(site, bundle, target="drivers/acme/acme-driver-4.0.json") == ("FAILED", "wheel"), site.output


def test_two_versions_of_one_library_are_refused_and_the_same_wheel_is_shared(site, package):
    same = ("msgpack-1.0-py3-none-any.whl", LIBRARY)
    other = ("msgpack-1.1-py3-none-any.whl", wheel("msgpack", "1.1", {"msgpack/__init__.py": "ANSWER = 44\n"}))
    refused = package("5.0", other)
    assert _refused(site, refused, target="drivers/acme/acme-driver-5.0.json") == ("FAILED", "conflict")
    assert "brings msgpack 1.1, the release has 1.0" in site.output
    site.install(package("5.1", same), "j2", target="drivers/acme/acme-driver-5.1.json")
    assert _loads(site) == "of 5.1 1.2.0"


def test_a_release_that_a_driver_does_not_load_in_is_refused(site, first, release):
    site.install(first, "j1")
    strict = LOADS.replace("for name", "assert not sys.argv[3:], 'driver acme: written for another contract'\nfor name")
    assert _refused(site, release("1.5.0", selftest=strict)) == ("FAILED", "selftest")
    assert "written for another contract" in site.output
    assert _loads(site) == "of 2.0 1.2.0"


def test_on_what_was_installed_without_a_bundle_there_is_no_driver(tmp_path, publisher, first):
    bare = Site(tmp_path / "bare", publisher)
    bare.allow("*")
    bare.send(first, "j1")
    assert bare.update() == 1
    assert bare.outcome("j1") == ("FAILED", "base")
    assert look(bare.at).good == OLD


def test_without_the_wheels_of_what_runs_there_is_no_driver(site, first):
    for path in site.at.wheels.iterdir():
        path.unlink()
    assert _refused(site, first) == ("FAILED", "missing")
