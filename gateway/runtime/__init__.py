"""Parts that join other parts: channels, uplinks, config application, views. Wired by gateway/wiring.py."""
