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
        "confirm",
        "plan",
        "rollback",
        "uplink_forget",
    }
    assert table["write"].scope == "operate"
