"""What a configuration lets rules command is what the gateway lets them do."""

from __future__ import annotations

from types import SimpleNamespace

from gateway.rulebook import RULE_OPS
from gateway.runtime.ops import ADMIN
from gateway.runtime.optable import op_table
from gateway.testing import ManualClock


def test_the_commands_of_rules_are_the_ops_that_need_no_administrator():
    table = op_table(SimpleNamespace(clock=ManualClock()))  # it is only asked what it has
    assert sorted(RULE_OPS) == sorted(op for op in table._ops if table.scope(op) != ADMIN)
