"""Long proofs of the project's promises; they are not installed."""

import os

# As trimaran does. It is not imported here: proofs of served code import the copy that is served.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
