"""The 1000 classes of ImageNet-1k by name, in the order that networks are trained with."""

from __future__ import annotations

from trimaran.system.downloads import Wheel, read_member

__all__ = ["class_names"]

_TIMM = Wheel(
    "timm",
    "1.0.31",
    "timm-1.0.31-py3-none-any.whl",
    "5bd50f7d0fe6d09bf9285ac2523234a1b7e6bf075c0be3e7aed09139fcb617c7",
)
_INFO = "timm/data/_info"


def class_names() -> list[str]:
    """1000 names such as `tabby, tabby cat`, from the WordNet lemmas that timm carries."""
    synsets = read_member(_TIMM, f"{_INFO}/imagenet_synsets.txt").decode().split()
    lines = read_member(_TIMM, f"{_INFO}/imagenet_synset_to_lemma.txt").decode().splitlines()
    lemmas = dict(line.split("\t", 1) for line in lines if line)
    return [lemmas[synset] for synset in synsets]
