"""The server's interface in the words of OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from ligero.serving.manifest import Manifest

Schema = dict[str, Any]

_STRING: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_INTEGER: Schema = {"type": "integer"}


def _object(properties: dict[str, Schema], required: list[str] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


def _item(manifest: Manifest) -> Schema:
    identity = {"id": {"description": "anything; the answer repeats it"}}
    if manifest.task_type == "question_answering":
        return _object({**identity, "question": _STRING, "context": _STRING}, ["question", "context"])
    if manifest.pairs:
        return _object({**identity, "text": _STRING, "second_text": _STRING}, ["text", "second_text"])
    text = _object({**identity, "text": _STRING}, ["text"])
    forms = [_STRING, text]
    if manifest.task_type == "token_classification":
        forms.append(_object({**identity, "words": {"type": "array", "items": _STRING}}, ["words"]))
    return {"oneOf": forms}


def _answer(manifest: Manifest) -> Schema:
    label: Schema = {"enum": list(manifest.labels)}
    common = {"tokens": _INTEGER, "truncated": {"type": "boolean"}}
    span = {"start": _INTEGER, "end": _INTEGER}
    if manifest.task_type == "question_answering":
        properties = {"answer": _STRING, **span, "score": _NUMBER, "windows": _INTEGER, **common}
    elif manifest.task_type == "token_classification":
        nothing = {"type": "null"}
        word = {
            "word": _STRING,
            **span,
            "label": {"oneOf": [label, nothing]},
            "score": {"oneOf": [_NUMBER, nothing]},
        }
        entity = {"type": _STRING, "text": _STRING, **span, "score": _NUMBER}
        properties = {
            "words": {"type": "array", "items": _object(word)},
            "entities": {"type": "array", "items": _object(entity)},
            **common,
        }
    else:
        scores = {"type": "object", "additionalProperties": _NUMBER}
        properties = {"label": label, "score": _NUMBER, "scores": scores, **common}
    exits = {"repetitions": _INTEGER} if manifest.exits else {}
    return _object({"id": {}, **properties, **exits}, list(properties))


def openapi(manifest: Manifest, version: str) -> Schema:
    """The description of the interface that serves a model."""

    def content(schema: Schema, description: str) -> Schema:
        return {"description": description, "content": {"application/json": {"schema": schema}}}

    error = _object({"error": _object({"message": _STRING, "item": _INTEGER}, ["message"])})
    item, answer = {"$ref": "#/components/schemas/Item"}, {"$ref": "#/components/schemas/Answer"}
    failure = {"$ref": "#/components/schemas/Error"}
    many = _object({"items": {"type": "array", "items": item, "minItems": 1}})
    refusals = {
        "400": "not JSON",
        "408": "the body did not arrive in time",
        "413": "the body is too large",
        "415": "the body is compressed",
        "422": "an item is not what the task needs, or the request has too many items or tokens",
        "429": "too many requests wait; Retry-After says when to try again",
    }
    plain = {"200": {"description": "yes"}, "503": content(failure, "not now")}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{manifest.name}, {manifest.task_name}", "version": version},
        "paths": {
            "/predict": {
                "post": {
                    "summary": "Answer one item, or many at once",
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": {"oneOf": [item, many]}}},
                    },
                    "responses": {
                        "200": content(
                            {"oneOf": [answer, _object({"answers": {"type": "array", "items": answer}})]},
                            "the answer, or the answers in the order of the items",
                        ),
                        **{code: content(failure, text) for code, text in refusals.items()},
                    },
                }
            },
            "/info": {
                "get": {
                    "summary": "What the model is",
                    "responses": {"200": content({"type": "object"}, "its manifest")},
                }
            },
            "/health/live": {"get": {"summary": "Whether the process runs", "responses": plain}},
            "/health/ready": {
                "get": {"summary": "Whether the model gives its stored answer", "responses": plain}
            },
            "/metrics": {
                "get": {"summary": "Figures for Prometheus", "responses": {"200": {"description": "text"}}}
            },
        },
        "components": {"schemas": {"Item": _item(manifest), "Answer": _answer(manifest), "Error": error}},
    }
