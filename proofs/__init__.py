"""Long proofs of the project's promises; they are not installed."""

import trimaran as _trimaran  # noqa: F401 - it turns off the telemetry of ONNX Runtime
