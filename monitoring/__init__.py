"""Monitoring with Prometheus: configuration, rules, queries, reports, drift and live accuracy."""
