"""Device shadows: what the cloud wants of a device (desired) and what the device says (reported). protocol.md 3.

Documents and their merge are pure (`document`, `merge`, `edits`); `keeper` keeps them in the journal's environment;
`writing` makes the devices follow; `reporting` makes the reported documents; `desk` is the one door for all of it.
"""
