"""The networks, and the settings that decide them."""
