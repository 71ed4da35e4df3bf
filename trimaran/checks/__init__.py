"""The checker of model repositories: each rule once, as a function that yields findings.

Rules read parsed configurations and plain facts about directories (`facts.py`); `reading.py` alone
gathers these, with `onnx_files.py`, `recognised_files.py` and `environments.py` for the contents of
files. Where a rule says `ERROR`, Triton refuses the model; `proofs/mutations/` compares the rules
with the real server.
"""
