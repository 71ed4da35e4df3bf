"""What is wrong with a model repository: one rule in one place, as functions that yield findings.

Rules read parsed configurations and plain facts about directories (`facts.py`); `reading.py` alone
gathers these, with `onnx_files.py`, `recognised_files.py` and `environment_files.py` for what the
files hold. Where a rule says `ERROR`, Triton refuses the model; `proofs/mutations/` holds
the rules against the real server.
"""
