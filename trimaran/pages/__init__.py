"""The one kit for pages of HTML: their frame, tables and drawings."""
