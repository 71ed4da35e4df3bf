"""Locust's users for Triton's protocols, and runs that keep exact latencies."""
