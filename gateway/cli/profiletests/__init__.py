"""Profiles tried without their devices: where they are found, what results, their cases, and what is odd about them."""
