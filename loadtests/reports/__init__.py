"""What load tests came to: one form for every tool, as a table, JSON, CSV and a page."""
