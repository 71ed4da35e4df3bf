"""Prometheus and Alertmanager, run on this machine."""
