"""The checks and their order. A name is kept for ever: reports and quality files refer to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from gateway.conformance import (
    abilities,
    cancelling,
    contract,
    faults,
    leaking,
    polling,
    pushing,
    unanswered,
    underkernel,
    writing,
)
from gateway.conformance.scene import Subject


class Check(Struct, frozen=True):
    """`kind`: of which drivers: `any`, `polling`, `pushing`. `simple`: needs no faults, of `check_driver`."""

    name: str
    title: str
    run: Callable[[Subject], Awaitable[None]]
    kind: str = "any"
    simple: bool = False


CHECKS = (
    Check("spec", "the spec is complete, settings are frozen Structs", contract.spec_is_complete, simple=True),
    Check(
        "settings",
        "settings are checked without network",
        contract.settings_are_checked_without_running,
        simple=True,
    ),
    Check("close", "close is harmless before connect, and twice", contract.closing_twice, "polling", simple=True),
    Check(
        "read",
        "connect, plan, read, close, and again; columns fit the tags",
        polling.connect_read_close_and_again,
        "polling",
        simple=True,
    ),
    Check("unreachable", "nobody there is LinkLost", polling.connect_to_nobody, "polling", simple=True),
    Check("unreachable", "nobody there is told", pushing.nobody_there, "pushing"),
    Check("run", "run gives values and ends when cancelled", cancelling.run_ends_when_cancelled, simple=True),
    Check("cancel-connect", "a cancelled connect ends", cancelling.cancel_connect, "polling"),
    Check("cancel-read", "a cancelled read ends", cancelling.cancel_read, "polling"),
    Check("cancel-write", "a cancelled write ends", cancelling.cancel_write, "polling"),
    Check("cancel-run", "a cancelled run ends, whatever it waits for", cancelling.cancel_run),
    Check("silence", "a silent peer ends calls within the timeout", faults.silence, "polling"),
    Check("silence", "a silent peer is told, nothing is online", pushing.silence_is_told, "pushing"),
    Check(
        "silence-connect", "a connect that nobody answers ends within the timeout", unanswered.connect_ends, "polling"
    ),
    Check("silence-connect", "a connect that nobody answers is told", unanswered.connect_is_told, "pushing"),
    Check("old-values", "nothing comes, nothing is given as new", faults.old_values, "polling"),
    Check("old-values", "nothing comes, nothing is given as new", pushing.old_values, "pushing"),
    Check("trickle", "the timeout is of the answer, not of each byte", faults.trickle, "polling"),
    Check("late", "a late answer is not the next one's", faults.late, "polling"),
    Check("garbage", "rubbish gives errors of the contract only", faults.garbage, "polling"),
    Check("garbage", "rubbish gives errors of the contract only", pushing.garbage, "pushing"),
    Check("half", "half an answer gives no value", faults.half_an_answer, "polling"),
    Check("cut", "a connection that is cut is told, and mended", faults.cut, "polling"),
    Check("cut", "a connection that is cut is told", pushing.cut, "pushing"),
    Check("flood", "memory has a bound when the peer sends without end", faults.flood, "polling"),
    Check("flood", "memory has a bound when the peer sends without end", pushing.flood, "pushing"),
    Check("leaks", "no task, thread, descriptor or connection is left", leaking.leaks_of_polling, "polling"),
    Check("leaks", "no task, thread, descriptor or connection is left", leaking.leaks_of_pushing, "pushing"),
    Check("write", "what is written is read back", writing.writes_are_read_back),
    Check("write-refused", "what no tag can hold is refused before the wire", writing.bad_writes_are_refused),
    Check("write-silent", "a write to a silent peer ends", writing.write_to_a_silent_peer),
    Check("away-and-back", "in a running gateway: online, away, back; statistics", underkernel.away_and_back),
    Check("back-off", "a peer that hangs up is not hammered", underkernel.back_off),
    Check("counters", "own counters are whole numbers", underkernel.counters),
    Check("requests", "requests can be shown as data", abilities.requests_as_data, "polling"),
    Check("looks", "scan and browse refuse unknown options", abilities.looks_refuse_unknown_options),
    Check("methods", "methods can be shown as data", abilities.methods_as_data),
    Check("trace", "tracing can be switched", abilities.tracing_can_be_switched),
)
LOOP = ("loop", "the event loop is never held up")
TRACEBACKS = ("tracebacks", "no exception escapes into the event loop")
