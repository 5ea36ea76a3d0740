"""Fuzzing of everything that reads bytes of strangers: targets, seeds, and a mutator that a number repeats."""
