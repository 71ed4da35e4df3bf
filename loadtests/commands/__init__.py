"""The commands that measure: `bench`, `locust`, `perf` and `tune`."""
