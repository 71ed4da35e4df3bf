"""ONNX's own models through the real server."""
