"""Pure functions on samples: percentiles, ratios and their intervals."""
