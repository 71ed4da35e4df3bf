"""Public data for image models: the class names of ImageNet-1k, and real photographs."""

from __future__ import annotations

from trimaran.system.downloads import Wheel, read_member

__all__ = [
    "LABELS",
    "LABEL_NAMES",
    "PHOTOGRAPHS",
    "PHOTOGRAPH_NAMES",
    "class_names",
    "photographs",
]

LABELS = Wheel(
    "timm",
    "1.0.31",
    "timm-1.0.31-py3-none-any.whl",
    "5bd50f7d0fe6d09bf9285ac2523234a1b7e6bf075c0be3e7aed09139fcb617c7",
)
LABEL_NAMES = ("imagenet_synsets.txt", "imagenet_synset_to_lemma.txt")
_INFO = "timm/data/_info"


def class_names() -> list[str]:
    """1000 names such as `tabby, tabby cat`, in the order that networks are trained with.

    They are the WordNet lemmas in the wheel of timm.
    """
    synsets, lemmas = (read_member(LABELS, f"{_INFO}/{name}").decode() for name in LABEL_NAMES)
    names = dict(line.split("\t", 1) for line in lemmas.splitlines() if line)
    return [names[synset] for synset in synsets.split()]


PHOTOGRAPHS = Wheel(
    "scikit-image",
    "0.26.0",
    "scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    platform=("--python-version=3.11", "--implementation=cp", "--platform=manylinux_2_28_x86_64"),
)
PHOTOGRAPH_NAMES = (
    "chelsea.png",
    "coffee.png",
    "rocket.jpg",
    "astronaut.png",
    "motorcycle_left.png",
)


def photographs() -> dict[str, bytes]:
    """The encoded example images of scikit-image, by file name; `chelsea.png` is a cat."""
    return {name: read_member(PHOTOGRAPHS, f"skimage/data/{name}") for name in PHOTOGRAPH_NAMES}
