"""`python -m conformance.gate`."""

from __future__ import annotations

import sys

from conformance.gate.trials import main

if __name__ == "__main__":
    sys.exit(main())
