"""Pure functions on samples: percentiles, shares, ratios, and their intervals."""
