"""Updates: releases that are signed, staged beside the running one, tried, and kept or taken back.

`release` says what a release is, `bundle` carries one in a file, `trust` decides by TUF whether it may be used. Nothing
here is imported by a running gateway unless it is updated: trust is decided in a short process of its own.
"""
