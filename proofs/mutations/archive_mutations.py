"""Mutations of a TorchScript archive, and of the configuration that has to name its tensors."""

from __future__ import annotations

import io
import zipfile
from random import Random

from proofs.mutations.repositories import Draft

__all__ = ["mutate_archive"]


def mutate_archive(rng: Random, draft: Draft) -> str:
    """Another file in its place, or tensors that are not declared."""
    folder = draft.folders[next(iter(draft.folders))]
    config, files = folder.config, folder.files
    genuine = files["1/model.pt"]
    impostors = {
        "empty": b"",
        "a page": b"<!DOCTYPE html><html></html>",
        "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "a pickle": b"\x80\x02}q\x00.",
        "a checkpoint": _renamed(genuine, without=("code/", "constants.pkl")),
        "a program of torch.export": _renamed(genuine, without=(), add="archive_format"),
        "an ONNX file": b"\x08\x0a",
        "cut": genuine[: rng.randrange(4, len(genuine))],
        "without its version": _renamed(genuine, without=("version",)),
        "with a byte changed": _changed(genuine, rng.randrange(len(genuine) // 2)),
    }
    which = rng.randrange(len(impostors) + 4)
    if which < len(impostors):
        name, files["1/model.pt"] = list(impostors.items())[which]
        return f"model.pt {name}"
    if config is None:
        return ""
    kind = rng.choice(["input", "output"])
    match which - len(impostors):
        case 0:
            config.ClearField(kind)
            return f"no {kind}"
        case 1:
            config.input[0].optional = True
            return "an optional input"
        case 2:
            getattr(config, kind)[0].data_type = rng.choice([2, 3, 4, 13, 14])
            return f"{kind} of type {getattr(config, kind)[0].data_type}"
        case _:
            getattr(config, kind)[0].name = rng.choice(["x", "y", "INPUT__0", "OUTPUT__0"])
            return f"{kind} named {getattr(config, kind)[0].name}"


def _renamed(archive: bytes, *, without: tuple[str, ...], add: str = "") -> bytes:
    """The archive without the entries of these names below its root, and with one more."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(target, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            inside = name.partition("/")[2]
            if not any(inside.startswith(start) for start in without) and not (
                add and inside.startswith("code/")
            ):
                new.writestr(name, old.read(name))
        if add:
            new.writestr(f"{root}/{add}", "pt2")
    return target.getvalue()


def _changed(archive: bytes, place: int) -> bytes:
    return archive[:place] + bytes([archive[place] ^ 0xFF]) + archive[place + 1 :]
