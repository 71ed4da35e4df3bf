"""Triton's `onnxruntime` backend in C++, for a runtime that lacks NVIDIA's.

It calls the ONNX Runtime of this environment inside of tritonserver, where the Python-based backend
beside it needs a process for each instance and hands every tensor through shared memory. Its
sources declare what they call of Triton and of ONNX Runtime themselves, so a C++ compiler is all
that it needs.
"""
