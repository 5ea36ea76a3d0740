"""Tells people of alarms: by MQTT, webhook or mail."""
