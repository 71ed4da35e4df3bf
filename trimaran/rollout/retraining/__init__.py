"""Training again: when it is due, and what a new run must be before it may follow the live one."""
