"""`python -m conformance.mutations`."""

from __future__ import annotations

import sys

from conformance.mutations.trials import main

if __name__ == "__main__":
    sys.exit(main())
