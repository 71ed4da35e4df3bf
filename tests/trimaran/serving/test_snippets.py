"""The example calls that `trimaran serve` prints."""

from __future__ import annotations

import pytest

from tests.trimaran.versions import model_config, tensor
from trimaran.serving.snippets import curl_snippet
from trimaran.system.ports import Ports


@pytest.mark.parametrize(("name", "encoded"), [("IMAGE", True), ("TEXT", False)])
def test_only_an_image_goes_as_base64(name: str, encoded: bool) -> None:
    config = model_config("m", (tensor(name, "BYTES", 1),))
    snippet = curl_snippet(config, Ports("127.0.0.1", 1, 2, 3), None)
    assert snippet is not None
    assert ("base64" in snippet) is encoded
    assert f'"{name}"' in snippet
