"""Load tests: how fast a served model is, by an open-loop benchmark, Locust and perf_analyzer."""
