"""`python -m proofs.gate`."""

from __future__ import annotations

import sys

from proofs.gate.trials import main

if __name__ == "__main__":
    sys.exit(main())
