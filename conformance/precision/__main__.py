"""`python -m conformance.precision`."""

from __future__ import annotations

from conformance.precision.comparison import main

if __name__ == "__main__":
    main()
