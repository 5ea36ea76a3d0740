"""Files of other gateways as ours: read, understood, told what was not, and drawn as channels and profiles.

An importer is pure: text in, a Draft and a Report out; no network, no writes, the same input gives the same output. It
knows the words of the drivers' keys and imports no driver. The loader uses it for foreign files that lie in `profiles/`
and `channels/`, the command line to convert them.
"""
