"""What may name a model directory."""

from __future__ import annotations

import pytest

from trimaran.repository.repository import check_model_name
from trimaran.system.errors import UsageError


@pytest.mark.parametrize("name", ["a", "_x", "efficientnet_lite0_onnx", "A-b.c", "x" * 128])
def test_a_name_is_kept(name: str) -> None:
    assert check_model_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "1", "2.tmp", ".hidden", "..", "a/b", "/a", "a b", "a\n", "ä", "-a", "x" * 129, "a\\b"],
)
def test_what_cannot_be_a_directory_url_or_label_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_model_name(name)
    assert repr(name) in str(refused.value)
    assert "\n" not in str(refused.value)
