"""How many users there are over time: curves, and a Locust file for each, to name after `-f`."""
