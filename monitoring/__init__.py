"""Prometheus watches the server: configuration, rules, queries, reports and a live view."""
