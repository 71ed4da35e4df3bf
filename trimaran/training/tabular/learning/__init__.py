"""From a table and a split to a fitted network, its threshold, and its scores."""
