"""Grafana's dashboards, generated from the catalogue, and their provisioning."""
