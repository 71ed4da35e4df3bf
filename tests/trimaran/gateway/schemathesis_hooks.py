"""Tells schemathesis how to make the texts that JSON Schema cannot describe.

    SCHEMATHESIS_HOOKS=tests.trimaran.gateway.schemathesis_hooks schemathesis run …

A photograph and a record's text are taken from the examples of the document.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import schemathesis
from hypothesis import strategies


@schemathesis.hook
def before_load_schema(_: Any, document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        body = item.get("post", {}).get("requestBody")
        if body is None:
            continue
        content = body["content"]["application/json"]
        name = content["schema"]["$ref"].rpartition("/")[2]
        properties = document["components"]["schemas"][name]["properties"]
        for field, texts in _made_by_example(properties, content.get("examples", {})):
            properties[field]["format"] = f"{path} {field}"
            schemathesis.openapi.format(f"{path} {field}", strategies.sampled_from(texts))


def _made_by_example(
    properties: dict[str, Any], examples: dict[str, Any]
) -> Iterator[tuple[str, list[str]]]:
    for field, schema in properties.items():
        texts = [each["value"][field] for each in examples.values() if field in each["value"]]
        if texts and "contentMediaType" in schema:
            yield field, texts
