"""Self-contained HTML pages: the exploration of a table and the report of a run."""
