"""`python -m proofs.gpu FOLDER`: pack what a GPU machine without a network lacks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from proofs.gpu.files import pack, require_small
from trimaran.system.errors import TrimaranError


def main() -> None:
    """Pack, and print the size."""
    parser = argparse.ArgumentParser(prog="python -m proofs.gpu", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.12", help="the other machine's Python")
    options = parser.parse_args()
    try:
        pack(options.folder, options.python, print)
        print(f"{options.folder}: {require_small(options.folder):.0f} MB")
    except TrimaranError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
