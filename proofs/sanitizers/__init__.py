"""The native ONNX backend under AddressSanitizer and UndefinedBehaviorSanitizer."""
