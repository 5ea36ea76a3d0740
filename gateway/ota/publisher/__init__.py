"""The other side of updates: who holds keys, signs releases, driver packages and configurations, and keeps the
repository that gateways ask. No gateway imports it; `fieldpost bundle` does.

`repository` is the TUF repository as a folder, `vendor` signs driver packages for it, `configs` signs configurations,
`keys` are the files of both.
"""
