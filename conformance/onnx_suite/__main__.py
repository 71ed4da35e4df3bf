"""`python -m conformance.onnx_suite`."""

from __future__ import annotations

import sys

from conformance.onnx_suite.suite import main

if __name__ == "__main__":
    sys.exit(main())
