"""Tests of rules as people write them: readings at times, and what must come of them. Offline, with a clock by hand."""
