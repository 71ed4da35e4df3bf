"""The commands that measure: `bench`, `load`, `perf` and `tune`."""
