"""Grafana's dashboards, made from the catalogue, and the files that provision them."""
