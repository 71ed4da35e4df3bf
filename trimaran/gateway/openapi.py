"""The OpenAPI 3.1 document of the gateway's plain REST.

```python
document(Repository.open(Path("model_repository")), ["churn"], default="churn")
```

It has the paths of each model, its request and answer, and what is answered where they are not.
What it allows is answered, and what it forbids is refused, but for this: Triton also takes a list
where one value is expected, as that many rows, and the answer then has lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from trimaran.gateway.model_schemas import ModelSchemas, model_schemas
from trimaran.repository.repository import Repository

__all__ = ["document"]

Node = dict[str, Any]

_ABOUT = """\
Each model takes one flat JSON object at `/models/NAME/predict` and answers one. A list in the place
of a value is taken as several rows, and the answer then has lists; the lists of a request must be
equally long. The KServe v2 protocol is at `/v2`, over HTTP and gRPC.

Send a token in the header `Authorization: Bearer TOKEN`. Its scopes say what it may do:
`infer:NAME` asks a model, `metadata` reads this document and what models take. Errors have one
form: `error` says what was found and what to do, `where` which model or step refused, and
`request_id` finds the request in the log."""


def document(repository: Repository, models: Sequence[str], default: str | None) -> Node:
    """The OpenAPI 3.1 document of these models; `default` is the one of `/predict`, if any.

    Raises `TrimaranError` where a model's configuration cannot be read.
    """
    described = [model_schemas(repository, name) for name in models]
    paths: Node = {}
    schemas: Node = dict(_SCHEMAS)
    for each in described:
        paths |= _paths(each, f"/models/{each.name}", each.name)
        if each.name == default:
            paths |= _paths(each, "", "default")
        if each.request and each.answer:
            schemas[f"{each.name}.request"] = each.request
            schemas[f"{each.name}.answer"] = each.answer
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Models behind this gateway",
            "version": metadata.version("trimaran"),
            "description": _ABOUT,
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [{"name": each.name, "description": _summary(each)} for each in described]
        + [{"name": "gateway", "description": "The gateway itself."}],
        "paths": {**paths, **_GATEWAY},
        "components": {
            "schemas": schemas,
            "responses": _RESPONSES,
            "headers": _HEADERS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _summary(model: ModelSchemas) -> str:
    version = model.versions.get(model.name, "?")
    steps = [f"{name} {number}" for name, number in model.versions.items() if name != model.name]
    if model.ensemble:
        return f"The ensemble {model.name}, release {version}, of {', '.join(steps)}."
    return f"The model {model.name}, version {version}."


def _paths(model: ModelSchemas, prefix: str, key: str) -> Node:
    paths: Node = {
        f"{prefix}/metadata": {
            "get": {
                "operationId": f"{key}.metadata",
                "tags": [model.name],
                "summary": f"What {model.name} takes and answers, in Triton's terms",
                "security": [{"token": ["metadata"]}],
                "responses": {
                    "200": {
                        "description": "The inputs and outputs, and the versions that are live.",
                        "headers": _headers("x-request-id"),
                        "content": _json({"$ref": "#/components/schemas/Metadata"}),
                    },
                    **_refusals(401, 403, 404, 429, 503, 504),
                },
            }
        }
    }
    if model.request and model.answer:
        paths[f"{prefix}/predict"] = {"post": _predict(model, key)}
    return paths


def _predict(model: ModelSchemas, key: str) -> Node:
    body = _json({"$ref": f"#/components/schemas/{model.name}.request"})
    if model.examples:
        examples = {name: {"value": value} for name, value in model.examples.items()}
        body["application/json"]["examples"] = examples
    operation: Node = {
        "operationId": f"{key}.predict",
        "tags": [model.name],
        "summary": f"Ask {model.name}",
        "security": [{"token": [f"infer:{model.name}"]}],
        "requestBody": {"required": True, "content": body},
        "responses": {
            "200": {
                "description": "The answer.",
                "headers": _headers(
                    "x-request-id", "x-trimaran-model", "x-trimaran-version", "server-timing"
                ),
                "content": _json({"$ref": f"#/components/schemas/{model.name}.answer"}),
            },
            **_refusals(400, 401, 403, 404, 408, 413, 429, 500, 503, 504),
        },
    }
    if not model.reads_parameters:
        operation["description"] = (
            "A member that is no input is taken as a parameter of the request, which this model "
            "does not read."
        )
    return operation


def _json(schema: Node) -> Node:
    return {"application/json": {"schema": schema}}


def _headers(*names: str) -> Node:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _refusals(*statuses: int) -> Node:
    return {str(each): {"$ref": f"#/components/responses/{each}"} for each in statuses}


def _refusal(status: int, what: str, error: str, where: str = "gateway") -> Node:
    example = {"error": error, "where": where, "request_id": "6f1c7a0e-0f0b-4f83-a3c1-4b0f3c8f5c11"}
    content = _json({"$ref": "#/components/schemas/Error"})
    content["application/json"]["example"] = example
    names = ("x-request-id", "retry-after") if status == 429 else ("x-request-id",)
    return {"description": what, "headers": _headers(*names), "content": content}


_RESPONSES: Mapping[str, Node] = {
    str(status): _refusal(status, *words)
    for status, words in {
        400: (
            "The record cannot be used.",
            "row 0: field 'total_day_minutes' is -5; expected between 0 and 1440",
            "churn_features",
        ),
        401: (
            "There is no token, or one that is not accepted.",
            "Jwt is expired; get another",
        ),
        403: ("The token does not allow this.", "the token lacks the scope; ask for one with it"),
        404: ("There is no such path or model.", "nothing is served under this path and method"),
        408: ("The request came too slowly.", "the request came too slowly; send it faster"),
        413: ("The body is too large.", "the body is larger than body_mb of the model allows"),
        429: (
            "The client asks too often.",
            "this client asks the model too often; wait",
        ),
        500: ("The model failed.", "the model failed on this request; the server's log has why"),
        503: ("No server is ready for this model.", "no server is ready; try again later"),
        504: ("The model took too long.", "the server did not answer in time; send less at once"),
    }.items()
}

_HEADERS: Mapping[str, Node] = {
    "x-request-id": {
        "description": "The id of the request, as it was sent or made by the gateway.",
        "schema": {"type": "string"},
    },
    "x-trimaran-model": {
        "description": "The model that answered.",
        "required": True,
        "schema": {"type": "string"},
    },
    "x-trimaran-version": {
        "description": "The version of the model, or the release of the ensemble, that answered.",
        "required": True,
        "schema": {"type": "string"},
    },
    "server-timing": {
        "description": "How long the server took, in milliseconds.",
        "required": True,
        "schema": {"type": "string"},
    },
    "retry-after": {
        "description": "After how many seconds the request may be sent again.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
}

_TENSORS: Node = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["name", "datatype", "shape"],
    },
}

_SCHEMAS: Mapping[str, Node] = {
    "Error": {
        "type": "object",
        "properties": {
            "error": {"type": "string", "description": "What was found, and what to do."},
            "where": {
                "type": "string",
                "description": "The model or step that refused, or 'gateway'.",
            },
            "request_id": {"type": "string"},
        },
        "required": ["error", "where", "request_id"],
    },
    "Metadata": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "versions": {"type": "array", "items": {"type": "string"}},
            "platform": {"type": "string"},
            "inputs": _TENSORS,
            "outputs": _TENSORS,
        },
        "required": ["name", "versions", "platform", "inputs", "outputs"],
    },
}


def _open(summary: str, answered: Node, *statuses: int) -> Node:
    """A path that needs no token."""
    return {
        "get": {
            "tags": ["gateway"],
            "summary": summary,
            "security": [],
            "responses": {"200": answered, **_refusals(*statuses)},
        }
    }


_GATEWAY: Mapping[str, Node] = {
    "/health/live": _open("Whether the gateway runs", {"description": "It runs."}),
    "/health/ready": _open(
        "Whether every model that the gateway promises is ready somewhere",
        {"description": "They are."},
        503,
    ),
    "/docs": _open(
        "A page to try the models",
        {"description": "The page.", "content": {"text/html": {"schema": {"type": "string"}}}},
    ),
    "/openapi.json": {
        "get": {
            "tags": ["gateway"],
            "summary": "This document",
            "security": [{"token": ["metadata"]}],
            "responses": {
                "200": {"description": "The document.", "content": _json({"type": "object"})},
                **_refusals(401, 403, 429),
            },
        }
    },
}
