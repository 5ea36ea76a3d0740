"""Devices that were seen and are not configured: kept, matched with watch rules, approved into the configuration."""
