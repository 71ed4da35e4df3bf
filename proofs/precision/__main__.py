"""`python -m proofs.precision`."""

from __future__ import annotations

from proofs.precision.comparison import main

if __name__ == "__main__":
    main()
