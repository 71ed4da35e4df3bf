"""Two releases on live traffic, compared by statistics that may be watched, and the verdict."""
