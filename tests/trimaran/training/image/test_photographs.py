"""Folders of photographs: what is refused, what is left out, and what shares a part."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.photographs import parts_of_photographs
from trimaran.system.errors import TrimaranError
from trimaran.training.efficientnet_lite0 import SETTINGS
from trimaran.training.image.folder import MOST_BYTES, list_folder
from trimaran.training.image.photographs import Photographs, load, split
from trimaran.training.image_data import write_faces

PARTS = parts_of_photographs(13, 0)


def write(folder: Path, *classes: str, count: int = 6) -> Path:
    for place, label in enumerate(classes):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(PARTS[place * 6 : place * 6 + count]):
            (folder / label / f"{number}.jpg").write_bytes(content)
    return folder


def loaded(folder: Path) -> Photographs:
    return load(folder, "p", SETTINGS, lambda *_: None)


def nested(folder: Path) -> None:
    (folder / "cat" / "2024").mkdir()


def emptied(folder: Path) -> None:
    for path in (folder / "dog").iterdir():
        path.unlink()


def linked_file(folder: Path) -> None:
    (folder / "cat" / "x.jpg").symlink_to("/etc/hostname")


def linked_class(folder: Path) -> None:
    (folder / "etc").symlink_to("/etc")


def broken_line(folder: Path) -> None:
    (folder / "dog").rename(folder / "hot\ndog")


def no_text(folder: Path) -> None:
    (folder / "dog").rename(folder / os.fsdecode(b"\xff"))


def one_class(folder: Path) -> None:
    for path in [*(folder / "dog").iterdir(), folder / "dog"]:
        path.rmdir() if path.is_dir() else path.unlink()


def one_photograph(folder: Path) -> None:
    for path in sorted((folder / "dog").iterdir())[1:]:
        path.unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (nested, r"cat holds the folder '2024', and a class is a folder of photographs alone"),
        (emptied, r"dog is empty, and its name would be a class"),
        (linked_file, r"cat/x\.jpg is a link out of "),
        (linked_class, r"etc is a link out of "),
        (broken_line, r"'hot\\ndog' of .* has a line break"),
        (no_text, r"'\\udcff' of .* is no UTF-8"),
        (one_class, r"has one class, 'cat'; put the photographs of each class"),
        (one_photograph, r"dog has 1 different photographs .* takes 5 or more"),
    ],
)
def test_a_folder_that_is_none_of_classes_is_refused(
    change: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    folder = write(tmp_path / "photos", "cat", "dog")
    change(folder)
    with pytest.raises(TrimaranError, match=message):
        loaded(folder)


def test_the_public_faces_are_a_folder_of_two_classes(tmp_path: Path) -> None:
    write_faces(tmp_path)
    listed = list_folder(tmp_path)
    assert listed.classes == ("background", "face")
    assert len(listed.files) == 200
    with Image.open(tmp_path / "face" / "000.png") as image:
        assert image.size == (25, 25)
        assert len(set(image.tobytes())) > 50


def test_a_folder_without_sub_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrimaranError, match="has 0 files and no sub-folder"):
        list_folder(tmp_path)


def test_what_cannot_be_used_is_left_out_and_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "photos", "cat", "dog")
    (folder / "cat" / "notes.txt").write_text("text")
    (folder / "cat" / "half.jpg").write_bytes(PARTS[0][:2000])
    (folder / "cat" / ".hidden").write_text("text")
    (folder / "dog" / "again.jpg").write_bytes(PARTS[6])
    (folder / "list.csv").write_text("cat,dog")
    os.mkfifo(folder / "dog" / "pipe.jpg")
    os.truncate(folder / "dog" / "5.jpg", MOST_BYTES + 1)
    Image.new("1", (9_000, 9_000)).save(folder / "dog" / "vast.png")
    for label in ("cat", "dog"):
        (folder / label / "torn.jpg").write_bytes(PARTS[12])
    data = loaded(folder)
    assert len(data.files) == 11
    unusable, again, torn, loose = data.notes
    for name, why in {
        "cat/half.jpg": "is truncated or damaged",
        "cat/notes.txt": "is not a JPEG, PNG or WebP file",
        "dog/5.jpg": "has 100 MB, more than the limit",
        "dog/pipe.jpg": "cannot be read",
        "dog/vast.png": "has 9000 x 9000 pixels, more than the limit",
    }.items():
        assert re.search(rf"{name} {why}", unusable), unusable
    assert again == "1 file is repeated and left out: dog/again.jpg"
    assert torn.endswith("left out: cat/torn.jpg; dog/torn.jpg")
    assert loose == "1 file is beside the sub-folders left out: list.csv"


def test_copies_of_a_picture_share_a_part(tmp_path: Path) -> None:
    folder = write(tmp_path / "photos", "cat", "dog")
    for number in range(6):
        with Image.open(folder / "cat" / f"{number}.jpg") as image:
            image.resize((160, 120)).save(folder / "cat" / f"{number}-small.jpg", quality=60)
    data = loaded(folder)
    places = {name: place for place, name in enumerate(data.files)}
    pairs = [(places[f"cat/{n}.jpg"], places[f"cat/{n}-small.jpg"]) for n in range(6)]
    assert all(data.groups[one] == data.groups[other] for one, other in pairs)
    assert len(set(data.groups.tolist())) == 12
    assert data.notes == ("6 photographs are nearly the same picture as another, in its part",)
    for seed in range(20):
        parts = split(data, seed).parts()
        rows = np.concatenate(list(parts.values()))
        assert sorted(rows.tolist()) == list(range(18))
        for chosen in parts.values():
            assert {*data.target[chosen].tolist()} == {0, 1}
            assert all((one in chosen) == (other in chosen) for one, other in pairs)


def test_a_photograph_that_changes_meanwhile_ends_the_training(tmp_path: Path) -> None:
    data = loaded(write(tmp_path / "photos", "cat", "dog"))
    path = data.folder / data.files[3]
    path.write_bytes(PARTS[0])
    with pytest.raises(TrimaranError, match=f"{data.files[3]} was changed or removed while"):
        data.data(3)
