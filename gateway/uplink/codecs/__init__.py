"""Codecs: pure functions between journal segments and wire payloads (protocol.md 4). No I/O, no clock, no store."""
