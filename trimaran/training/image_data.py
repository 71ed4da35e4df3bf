"""Public data for image models: the class names of ImageNet-1k, and real photographs."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from trimaran.system.downloads import Wheel, read_member

__all__ = [
    "LABELS",
    "LABEL_NAMES",
    "PHOTOGRAPHS",
    "PHOTOGRAPH_NAMES",
    "RESERVED",
    "class_names",
    "photographs",
    "write_faces",
    "write_tiles",
]

LABELS = Wheel(
    "timm",
    "1.0.31",
    "timm-1.0.31-py3-none-any.whl",
    "5bd50f7d0fe6d09bf9285ac2523234a1b7e6bf075c0be3e7aed09139fcb617c7",
)
LABEL_NAMES = ("imagenet_synsets.txt", "imagenet_synset_to_lemma.txt")
_INFO = "timm/data/_info"


RESERVED = ("image", "image_classifier")
"""Names that no other ensemble may have: the included one, and how its Python models begin."""


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
_SHOWN = ("cat", "coffee", "rocket", "astronaut", "motorcycle")


def write_tiles(folder: str | Path, side: int = 64) -> None:
    """Write the tiles of five photographs, each into a sub-folder named as what it shows.

    `side` is in pixels. A tile is a JPEG file; the classes have 28 to 77 tiles of 64 pixels.
    """
    for label, name in zip(_SHOWN, PHOTOGRAPH_NAMES, strict=True):
        content = read_member(PHOTOGRAPHS, f"skimage/data/{name}")
        image = Image.open(io.BytesIO(content)).convert("RGB")
        (Path(folder) / label).mkdir(parents=True, exist_ok=True)
        for top in range(0, image.height - side + 1, side):
            for left in range(0, image.width - side + 1, side):
                tile = image.crop((left, top, left + side, top + side))
                tile.save(Path(folder) / label / f"{top:03d}-{left:03d}.jpg", quality=95)


def write_faces(folder: str | Path) -> None:
    """Write 100 faces and 100 pieces of backgrounds, each into a sub-folder of its class's name.

    They are scikit-image's part of "Labeled Faces in the Wild" (G. Huang and others, 2007): grey
    PNG files of 25 x 25 pixels.
    """
    found = np.load(io.BytesIO(read_member(PHOTOGRAPHS, "skimage/data/lfw_subset.npy")))
    half = len(found) // 2
    for label, pictures in (("face", found[:half]), ("background", found[half:])):
        (Path(folder) / label).mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(pictures):
            pixels = np.rint(255 * picture).astype(np.uint8)
            Image.fromarray(pixels).save(Path(folder) / label / f"{number:03d}.png")


def photographs() -> dict[str, bytes]:
    """The encoded example images of scikit-image, by file name; `chelsea.png` is a cat."""
    return {name: read_member(PHOTOGRAPHS, f"skimage/data/{name}") for name in PHOTOGRAPH_NAMES}
