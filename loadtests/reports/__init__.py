"""Reports of load tests: one form for every tool, as a table, JSON, CSV and a page."""
