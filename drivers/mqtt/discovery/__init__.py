"""Devices that are not configured: seen by a pattern of topics, or described by themselves."""
