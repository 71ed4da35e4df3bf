"""What is wrong with a model repository: one rule in one place, as functions that yield findings.

Rules read parsed configurations and plain facts about directories (`facts.py`); only `reading.py`
touches files. Where a rule says `ERROR`, Triton refuses the model; `conformance/mutations/` holds
the rules against the real server.
"""
