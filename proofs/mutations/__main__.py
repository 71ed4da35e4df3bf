"""`python -m proofs.mutations`."""

from __future__ import annotations

import sys

from proofs.mutations.trials import main

if __name__ == "__main__":
    sys.exit(main())
