"""Rules over recorded input: what the journal holds, what a file holds, what a test says. Pure, with logical time."""

from rules.replay.comparing import Comparison, Effect, compare
from rules.replay.entries import Entry, NotAnEntry, entry_from
from rules.replay.outcomes import Outcomes
from rules.replay.player import Replay, start

__all__ = ["Comparison", "Effect", "Entry", "NotAnEntry", "Outcomes", "Replay", "compare", "entry_from", "start"]
