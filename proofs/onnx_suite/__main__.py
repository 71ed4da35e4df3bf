"""`python -m proofs.onnx_suite`."""

from __future__ import annotations

import sys

from proofs.onnx_suite.suite import main

if __name__ == "__main__":
    sys.exit(main())
