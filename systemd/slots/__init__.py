"""Which release slot runs: chosen at each start, outside the slots, by the system's Python and its standard library.

Nothing here is part of a release and nothing of a release is imported here, so that a bad release cannot break the way
back. `state` is the truth on disk, `transitions` are its changes, `choosing` picks the slot of a start, `commands` are
what `slotctl` does for the units.
"""
