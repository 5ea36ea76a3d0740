"""What is accepted as an address or an option, and what the errors say."""

from __future__ import annotations

import subprocess
import sys
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.opcua import SPEC
from drivers.opcua.address import AddressError, Namespace, NodeAddress, PathAddress, parse, show
from drivers.opcua.settings import DeviceSettings, Events, Identity, Limits, Method, Security, Subscription
from gateway.model import Transform
from tests.drivers.opcua.kit import channel_of, tag_spec

URL = "opc.tcp://192.0.2.1:4840"
PLANT = Namespace(uri="http://plant/a")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ns=2;s=Line.Speed", NodeAddress(Namespace(2), "Line.Speed")),
        ("i=2258", NodeAddress(Namespace(), 2258)),
        ("nsu=http://plant/a;s=A=b;c", NodeAddress(PLANT, "A=b;c")),
        ("nsu=http://plant/a;i=7[3]", NodeAddress(PLANT, 7, (3,))),
        ("ns=2;s=Speeds[1]", NodeAddress(Namespace(2), "Speeds[1]")),
        ("ns=2;s=Speeds#[1]", NodeAddress(Namespace(2), "Speeds", (1,))),
        ("ns=2;s=a.b#[0]#", NodeAddress(Namespace(2), "a.b#[0]")),
        ("ns=2;s=a#[0]#[1]", NodeAddress(Namespace(2), "a#[0]", (1,))),
        ("ns=2;s=a##", NodeAddress(Namespace(2), "a#")),
        ("/Objects/T[2]#", PathAddress(((None, "Objects"), (None, "T[2]")))),
        ("/Objects/2&:a", PathAddress(((None, "Objects"), (None, "2:a")))),
        ("ns=2;s=No#5", NodeAddress(Namespace(2), "No#5")),
        ("ns=3;i=7[1,2].x", NodeAddress(Namespace(3), 7, (1, 2, "x"))),
        ("ns=3;i=7#.x[0]", NodeAddress(Namespace(3), 7, ("x", 0))),
        ("ns=1;b=AQID", NodeAddress(Namespace(1), b"\x01\x02\x03")),
        (f"g={uuid.UUID(int=5)}", NodeAddress(Namespace(), uuid.UUID(int=5))),
        ("/Objects/2:Line/Speed", PathAddress(((None, "Objects"), (2, "Line"), (None, "Speed")))),
        ("/Objects/a&/b/Temp.Out", PathAddress(((None, "Objects"), (None, "a/b"), (None, "Temp.Out")))),
        ("/Objects/Axis#.x", PathAddress(((None, "Objects"), (None, "Axis")), ("x",))),
        ("/Objects/Temps[2]", PathAddress(((None, "Objects"), (None, "Temps")), (2,))),
    ],
)
def test_addresses_mean_what_they_say_and_are_shown_so_that_they_are_read_again(text, address):
    assert parse(text) == address
    assert parse(show(address)) == address


def test_the_device_gives_root_and_namespace():
    assert parse("Temp", root="/Objects/Line") == parse("/Objects/Line/Temp")
    assert parse("s=Temp", namespace="http://plant/a") == NodeAddress(PLANT, "Temp")
    assert parse("s=Temp", namespace=3) == NodeAddress(Namespace(3), "Temp")
    assert parse("ns=2;s=Temp", namespace="http://plant/a") == NodeAddress(Namespace(2), "Temp")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("ns=2", "no node id"),
        ("ns=2;Line.Speed", "no node id"),
        ("ns=2;x=3", "no node id"),
        ("i=4294967296", "holds no number"),
        ("i=-1", "holds no number"),
        ("g=zz", "holds no GUID"),
        ("b=%%", "holds no base64"),
        ("Temp", "begins with /"),
        ("/", "empty name"),
        ("/Objects//Temp", "empty name"),
        ("/" + "/".join("x" * 70), "no path of 1 to 64"),
        ("s=" + "x" * 5000, "longer"),
    ],
)
def test_addresses_that_cannot_be_read_say_why(text, words):
    with pytest.raises(AddressError, match=words):
        parse(text)


_AWKWARD = st.text(alphabet="#[].&/:;=, 02ax\n", min_size=1, max_size=12)
_SELECTORS = st.lists(st.integers(0, 9) | st.sampled_from(["x", "pos_2"]), max_size=3).map(tuple)


@given(_AWKWARD, st.sampled_from([Namespace(), Namespace(2), PLANT]), _SELECTORS)
def test_any_node_id_that_a_server_has_can_be_written(name, namespace, selectors):
    address = NodeAddress(namespace, name, selectors)
    assert parse(show(address)) == address


@given(st.lists(st.tuples(st.none() | st.integers(0, 99999), _AWKWARD), min_size=1, max_size=4), _SELECTORS)
def test_any_names_can_be_a_path(segments, selectors):
    address = PathAddress(tuple(segments), selectors)
    assert parse(show(address)) == address


@given(st.text(max_size=40))
def test_no_text_makes_the_parser_stumble(text):
    for prefix in ("", "ns=2;s=", "i=", "/", "nsu="):
        try:
            address = parse(prefix + text)
        except AddressError:
            continue
        assert parse(show(address)) == address


def faults(*tags, url=URL, **settings):
    return [(fault.path, fault.message) for fault in SPEC.check(channel_of(url, tags, **settings))]


def test_a_right_channel_has_no_faults():
    device = DeviceSettings(root="/Objects", methods={"go": Method("s=Go", "s=Line")}, events=Events())
    assert faults(tag_spec("x", "Temp"), tag_spec("y", "ns=2;i=5"), device=device) == []


@pytest.mark.parametrize(
    ("settings", "path", "words"),
    [
        ({"url": "http://x:1"}, "url", "no address of an OPC UA server"),
        ({"url": "opc.tcp://x"}, "url", "names no port"),
        ({"url": "opc.tcp://x:y"}, "url", "no address"),
        ({"url": "opc.tcp://me:secret@x:1"}, "url", "belong under"),
        ({"security": Security(certificate="a.der")}, "security", "no `key`"),
        ({"identity": Identity(key="a.pem")}, "identity", "no `certificate`"),
        ({"identity": Identity(user="a", certificate="a", key="b")}, "identity", "not with both"),
        ({"identity": Identity(password="x")}, "identity.password", "no `user`"),
        ({"subscription": Subscription(publishing_interval=0)}, "subscription.publishing_interval", "outside"),
        ({"subscription": Subscription(lifetime=10)}, "subscription.lifetime", "less than three keep-alives"),
        ({"limits": Limits(nodes_per_read=0)}, "limits.nodes_per_read", "outside 1"),
        ({"session_timeout": 1}, "session_timeout", "outside 10"),
        ({"device": DeviceSettings(root="Objects")}, "devices.line.root", "no path"),
        ({"device": DeviceSettings(methods={"go": Method("")})}, "devices.line.methods.go.address", "empty"),
        ({"device": DeviceSettings(events=Events(severity=0))}, "devices.line.events.severity", "outside 1"),
        ({"device": DeviceSettings(events=Events("nope"))}, "devices.line.events.source", "begins with /"),
    ],
)
def test_what_is_wrong_with_a_channel_is_told_at_its_place(settings, path, words):
    (fault,) = faults(**settings)
    assert fault[0] == path
    assert words in fault[1]


@pytest.mark.parametrize(
    ("more", "path", "words"),
    [
        ({"address": "ns=2"}, "address", "no node id"),
        ({"queue": 0}, "queue", "outside 1"),
        ({"sampling": -1}, "sampling", "outside 0"),
        ({"scale_from": "y"}, "scale_from", "one by one"),
        ({"kind": "string", "transform": Transform(scale=2.0)}, "scale", "no number to transform"),
    ],
)
def test_what_is_wrong_with_a_tag_is_told_at_its_place(more, path, words):
    (fault,) = faults(tag_spec("x", **{"address": "i=2258", **more}))
    assert fault[0] == f"devices.line.tags.x.{path}"
    assert words in fault[1]


def test_settings_load_without_the_library_and_its_absence_is_told():
    code = (
        "import sys; sys.modules['asyncua'] = None\n"
        "from drivers.opcua import SPEC\n"
        "from gateway.errors import PermanentError\n"
        "try: SPEC.create()\n"
        "except PermanentError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "OPC UA needs asyncua: pip install 'fieldpost[opcua]'\n"
    code = "import sys, drivers.opcua; print('asyncua' in sys.modules or 'cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
