"""What became of a leaf, from what the gateway says, in any order."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from gateway.fleet.shadows import Applied, Rejection, Reported, parse_rejection
from gateway.fleet.verdicts import Verdicts


def _reported(
    ver: int, desired_ver: int, values: dict[str, Any], apply: dict[str, Applied] | None = None, epoch: int = 1
) -> Reported:
    return Reported(ver, epoch, desired_ver, None, values, {}, {}, apply)


def _states(verdicts: Verdicts) -> dict[str, str]:
    return {result.path: result.state for result in verdicts.results()}


def test_what_the_device_has_already_is_no_proof_before_the_gateway_has_the_version() -> None:
    verdicts = Verdicts({"a": 1}, {"a": 5})
    verdicts.reported(_reported(1, 4, {"a": 1}))
    assert _states(verdicts) == {"a": "pending"}
    verdicts.reported(_reported(2, 5, {"a": 1}))
    assert _states(verdicts) == {"a": "ok"}


def test_the_gateways_own_word_goes_before_equal_values() -> None:
    verdicts = Verdicts({"a": 1}, {"a": 5})
    verdicts.reported(_reported(2, 5, {"a": 1}, {"a": Applied("verifying", 5)}))
    assert [(each.state, each.text) for each in verdicts.results()] == [("pending", "verifying")]
    verdicts.reported(_reported(3, 5, {"a": 1}, {"a": Applied("ok", 5, 200)}))
    assert verdicts.complete


def test_an_end_of_an_older_version_is_no_end_of_ours() -> None:
    verdicts = Verdicts({"a": 1}, {"a": 5})
    verdicts.rejected(Rejection("a", 4, "rejected", 422, "old"))
    verdicts.reported(_reported(2, 4, {"a": 0}, {"a": Applied("failed", 4, 500)}))
    assert _states(verdicts) == {"a": "pending"}


def test_a_later_version_supersedes() -> None:
    verdicts = Verdicts({"a": 1}, {"a": 5})
    verdicts.reported(_reported(2, 7, {"a": 2}, {"a": Applied("ok", 7, 200)}))
    assert [(each.state, each.value) for each in verdicts.results()] == [("superseded", 2)]


def test_a_failure_is_complete_with_the_value_that_was_read_whatever_comes_first() -> None:
    rejection = Rejection("a", 5, "failed", 500, "read back another value")
    after = _reported(9, 5, {"a": 3}, {"a": Applied("failed", 5, 500, "read back another value")})
    for order in permutations(["before", "rejection", "after"]):
        verdicts = Verdicts({"a": 1}, {"a": 5})
        for word in order:
            if word == "rejection":
                verdicts.rejected(rejection)
            else:
                verdicts.reported(after if word == "after" else _reported(8, 4, {"a": 0}))
        assert verdicts.complete
        assert [(each.state, each.code, each.value) for each in verdicts.results()] == [("failed", 500, 3)]


def test_a_failure_alone_is_final_and_not_complete() -> None:
    verdicts = Verdicts({"a": 1}, {"a": 5})
    verdicts.rejected(Rejection("a", 5, "failed", 500, ""))
    assert verdicts.final
    assert not verdicts.complete


def test_pending_with_a_reason_is_no_end_and_an_end_is_final() -> None:
    verdicts = Verdicts({"a": 1}, {"a": 5})
    verdicts.rejected(Rejection("a", 5, "pending", 504, "away"))
    assert [(each.state, each.code, each.text) for each in verdicts.results()] == [("pending", 504, "away")]
    verdicts.rejected(Rejection("a", 5, "rejected", 403, "maintenance"))
    verdicts.rejected(Rejection("a", 5, "pending", 504, "away"))
    verdicts.reported(_reported(2, 5, {"a": 1}))
    assert _states(verdicts) == {"a": "rejected"}


def test_a_rejection_without_a_path_is_for_all_leaves_of_that_version() -> None:
    verdicts = Verdicts({"a": 1, "b": 2}, {"a": 5, "b": 5})
    verdicts.rejected(Rejection("", 5, "rejected", 413, "too large"))
    assert set(_states(verdicts).values()) == {"rejected"}


def test_a_removal_is_done_when_the_gateway_has_the_version() -> None:
    verdicts = Verdicts({"a": None}, {"a": 5})
    verdicts.reported(_reported(2, 5, {"a": 1}, {}))
    assert _states(verdicts) == {"a": "ok"}


def test_after_mending_the_new_version_is_waited_for() -> None:
    verdicts = Verdicts({"a": 1}, {"a": 5})
    verdicts.reported(_reported(2, 5, {"a": 1}, {"a": Applied("ok", 5, 200)}))
    verdicts.want({"a": 6})
    assert _states(verdicts) == {"a": "pending"}
    verdicts.reported(_reported(3, 6, {"a": 1}, {"a": Applied("ok", 6, 200)}))
    assert _states(verdicts) == {"a": "ok"}


def test_an_older_reported_document_changes_nothing_and_a_new_store_starts_again() -> None:
    verdicts = Verdicts({"a": 1}, {"a": 5})
    verdicts.reported(_reported(9, 4, {"a": 0}))
    verdicts.reported(_reported(8, 5, {"a": 1}))
    assert _states(verdicts) == {"a": "pending"}
    verdicts.reported(_reported(1, 5, {"a": 1}, epoch=2))
    assert _states(verdicts) == {"a": "ok"}


def test_a_version_given_by_the_gateway_may_be_any_later_one() -> None:
    verdicts = Verdicts({"a": 1}, {"a": 5}, exact=False)
    verdicts.reported(_reported(2, 9, {"a": 1}, {"a": Applied("ok", 8, 200)}))
    assert _states(verdicts) == {"a": "ok"}


def test_a_lost_local_edit_is_no_verdict_of_what_took_its_place() -> None:
    body = b'{"v":1,"path":"a","desired_ver":5,"state":"rejected","code":409,"text":"the edit is dropped"%s}'
    lost, refused = parse_rejection(body % b',"edit":3'), parse_rejection(body % b"")
    assert lost is not None
    assert refused is not None
    assert (lost.edit, refused.edit) == (3, None)
    for exact in (True, False):
        verdicts = Verdicts({"a": 1}, {"a": 5}, exact=exact)
        verdicts.rejected(lost)
        assert _states(verdicts) == {"a": "pending"}
        verdicts.reported(_reported(2, 5, {"a": 1}, {"a": Applied("ok", 5, 200)}))
        assert _states(verdicts) == {"a": "ok"}
    verdicts = Verdicts({"a": 1}, {"a": 5})
    verdicts.rejected(refused)
    assert _states(verdicts) == {"a": "rejected"}
