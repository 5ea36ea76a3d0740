"""Jobs: what a fleet owner wants of this gateway, one at a time (protocol.md 1.3, ota.md 3)."""
