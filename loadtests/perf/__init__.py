"""NVIDIA's perf_analyzer on the payloads, gates and reports of the other load tests."""
