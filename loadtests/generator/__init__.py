"""The load generator: requests at scheduled times, or one after the other, from one thread."""
