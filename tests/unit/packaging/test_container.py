"""Containerfile and compose.yaml as text: what can be seen without building them."""

import re
import shlex
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from gateway.cli.parser import parse

ROOT = Path(__file__).parents[3]


def _instructions():
    """(word, rest) of each instruction, continued lines joined."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    text = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", text))
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def _last(word):
    return [rest for name, rest in _instructions() if name == word][-1]


def _words(rest):
    return yaml.safe_load(rest)


COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
IMAGES = [rest.split()[0] for word, rest in _instructions() if word == "FROM"] + [
    COMPOSE["services"]["broker"]["image"]
]


@pytest.mark.parametrize("image", IMAGES)
def test_every_image_is_pinned_to_a_full_version_with_its_registry_named(image):
    assert re.fullmatch(r"[a-z.]+/[a-z0-9/._-]+:\d+\.\d+\.\d+[a-z0-9.-]*", image)


def test_all_stages_use_one_python():
    assert len({image for image in IMAGES if "python" in image}) == 1


def test_the_container_does_not_run_as_root():
    user = _last("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "numbers, so that an orchestrator can check them"


def test_what_is_copied_exists():
    for word, rest in _instructions():
        if word == "COPY" and not rest.startswith("--from"):
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists(), name


def test_everything_that_the_build_needs_is_copied():
    copied = {name for word, rest in _instructions() if word == "COPY" for name in rest.split()[:-1]}
    assert {"setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE", "gateway", "drivers", "rules"} <= copied


def test_the_entrypoint_is_an_installed_script():
    (script,) = _words(_last("ENTRYPOINT"))
    assert script in {entry.name for entry in metadata.entry_points(group="console_scripts")}


def test_the_command_and_the_health_check_are_valid_command_lines():
    args = parse(_words(_last("CMD")))
    assert (args.config, args.state) == ("/etc/fieldpost", "/var/lib/fieldpost")
    health = _words(_last("HEALTHCHECK").split("CMD", 1)[1])
    assert health[:2] == ["fieldpost", "status"]
    checked = parse(health[1:])
    assert checked.ready
    assert checked.state == args.state


def test_the_state_is_a_volume():
    assert shlex.split(_last("VOLUME")) == ["/var/lib/fieldpost"]


def test_the_compose_file_runs_a_gateway_and_a_broker():
    assert set(COMPOSE["services"]) == {"gateway", "broker"}
    gateway = COMPOSE["services"]["gateway"]
    assert (ROOT / gateway["build"]["dockerfile"]).is_file()
    assert gateway["image"] == f"fieldpost:{metadata.version('fieldpost')}"
    targets = {volume.split(":")[1]: volume for volume in gateway["volumes"]}
    assert targets["/etc/fieldpost"].endswith(":ro")
    assert targets["/var/lib/fieldpost"].split(":")[0] in COMPOSE["volumes"]


@pytest.mark.parametrize("name", ["gateway", "broker"])
def test_services_have_no_rights_beyond_their_task(name):
    service = COMPOSE["services"][name]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    assert "ports" not in service, "nothing is published unless the user says so"
