"""The commands, one file per family. Each takes a Session and returns an exit status."""
