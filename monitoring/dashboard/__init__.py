"""A page for those without Grafana."""
