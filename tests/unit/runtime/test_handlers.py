"""Arguments of the local ops: what has the wrong form is refused with 400 before anything is touched."""

import pytest

from gateway.local.handlers import handlers
from gateway.local.wire import OpError


class Untouched:
    """A node of which nothing may be called."""

    def __getattr__(self, name):
        return self

    def __call__(self, *args, **kwargs):
        raise AssertionError("the node was touched")


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("tags", {"tags": 5}),
        ("tags", {"tags": [5]}),
        ("tags", {"device": ["pump"]}),
        ("read", {"tags": "pump.speed"}),
        ("read", {}),
        ("write", {"values": []}),
        ("reads", {"device": 1}),
        ("journal", {"since_ms": "x"}),
        ("journal", {"stream": 1}),
        ("journal", {"limit": "many"}),
        ("rollback", {"to": "x"}),
        ("rollback", {"to": True}),
        ("plan", {"folder": "relative"}),
        ("apply", {"folder": 1}),
        ("apply", {"folder": "/x", "confirm_within_s": -1}),
        ("refresh", {"device": 1}),
        ("write", {"values": {"pump.run": True}, "dry_run": 1}),
        ("audit", {"since_ms": "x"}),
        ("audit", {"limit": "many"}),
        ("audit", {"who": 5}),
        ("audit", {"verify": "yes"}),
        ("force", {"tag": 5, "value": 1, "for_s": 5}),
        ("force", {"tag": "pump.speed", "value": 1, "for_s": 5, "reason": {"a": 1}}),
        ("force", {"tag": "pump.speed", "value": 1, "for_s": 5, "reason": "x" * 200_000}),
        ("force", {"tag": "pump.speed", "value": 1, "for_s": True}),
        ("force", {"release": ["all"]}),
        ("maintenance", {"device": {}, "for_s": 5}),
        ("maintenance", {"device": "pump", "for_s": 1e9}),
        ("maintenance", {"device": "pump", "for_s": 5, "reason": 7}),
        ("probe", {"device": "pump", "keys": [5]}),
    ],
)
async def test_arguments_of_the_wrong_form_are_refused(op, args):
    with pytest.raises(OpError) as caught:
        await handlers(node=Untouched())[op].fn(args)
    assert caught.value.code == 400


async def test_a_subscription_to_something_that_is_no_list_is_refused_at_once():
    stream = handlers(node=Untouched())["subscribe"].fn({"devices": "pump"})
    with pytest.raises(OpError):
        await anext(stream)


def test_reading_is_open_and_what_changes_or_reads_folders_is_not():
    table = handlers(node=Untouched())
    assert {name for name, handler in table.items() if handler.scope == "admin"} == {
        "apply",
        "ota_install",
        "confirm",
        "discovered_approve",
        "discovered_forget",
        "plan",
        "rollback",
        "uplink_forget",
    }
    assert table["write"].scope == "operate"


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("trace", {"name": 5}),
        ("trace", {"name": "pump", "for_s": "x"}),
        ("trace", {"name": "pump", "for_s": True}),
        ("scan", {"channel": 5}),
        ("scan", {"device": ["pump"]}),
        ("scan", {"driver": {}}),
        ("scan", {"settings": [1]}),
        ("scan", {"channel": "line1", "options": "all"}),
    ],
)
async def test_a_stream_with_arguments_of_the_wrong_form_is_refused_at_once(op, args):
    with pytest.raises(OpError) as caught:
        await anext(handlers(node=Untouched())[op].fn(args))
    assert caught.value.code == 400
