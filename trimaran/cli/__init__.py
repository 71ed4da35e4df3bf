"""The command `trimaran`: the one place that knows every other package."""
