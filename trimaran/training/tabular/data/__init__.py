"""Where tables come from, what they may hold, and whether they do."""
