"""Real photographs to try image models on: those that scikit-image carries as examples."""

from __future__ import annotations

from trimaran.system.downloads import Wheel, read_member

__all__ = ["photographs"]

_SCIKIT_IMAGE = Wheel(
    "scikit-image",
    "0.26.0",
    "scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    platform=("--python-version=3.11", "--implementation=cp", "--platform=manylinux_2_28_x86_64"),
)
_FILES = ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png", "motorcycle_left.png")


def photographs() -> dict[str, bytes]:
    """Encoded files by name; `chelsea.png` is a cat."""
    return {name: read_member(_SCIKIT_IMAGE, f"skimage/data/{name}") for name in _FILES}
