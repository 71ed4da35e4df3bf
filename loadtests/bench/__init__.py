"""The open-loop benchmark: targets, blocks, plans, and comparisons."""
