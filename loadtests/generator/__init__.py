"""The load generator: requests at scheduled times, or one after another, from one thread."""
