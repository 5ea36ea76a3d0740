"""Scenarios that several parts must agree on."""
