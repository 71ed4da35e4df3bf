"""The kit for HTML pages: frame, tables and figures."""
