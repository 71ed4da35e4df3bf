"""Long proofs of the project's promises; they are not installed."""

import os

# As in trimaran, which a proof of served code does not import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
