"""What the server tells of itself: the protocol's metadata, and the OpenAPI description that it holds to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import validator
from validator.serving.server.limits import Limits
from validator.serving.server.tensors import DTYPES

_KINDS = {"bool": "BOOL", "string": "BYTES", "category": "BYTES"}


def feature_datatype(feature: Mapping[str, Any]) -> str:
    """The protocol's datatype for one of the contract's features."""
    categories = feature.get("categories") or ()
    if categories and not any(isinstance(value, str) for value in categories):
        return "BOOL" if all(isinstance(value, bool) for value in categories) else "FP64"
    dtype = str(feature["dtype"])
    if dtype in _KINDS:
        return _KINDS[dtype]
    return "INT64" if dtype.startswith(("int", "uint")) else "FP64"


def server_metadata() -> dict[str, Any]:
    """`GET /v2`."""
    return {
        "name": "model-preflight",
        "version": validator.__version__,
        "extensions": ["binary_tensor_data"],
    }


def model_metadata(
    name: str, version: str, features: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """`GET /v2/models/M`: one input a feature, [N] each."""
    return {
        "name": name,
        "versions": [version],
        "platform": "onnx_onnxv1",
        "inputs": [
            {"name": feature["name"], "datatype": feature_datatype(feature), "shape": [-1]}
            for feature in features
        ],
        "outputs": list(outputs),
    }


def openapi(
    *,
    model: str,
    version: str,
    contract: Mapping[str, Any],
    example: Mapping[str, Any],
    limits: Limits,
    secured: bool,
) -> dict[str, Any]:
    """The OpenAPI 3.1 description of this server, with the contract's features as the schema of a row."""
    base = f"/v2/models/{model}"
    guard: dict[str, Any] = {"security": [{"token": []}]} if secured else {}
    ok = {"description": "yes"}
    paths: dict[str, Any] = {
        "/predict": {
            "post": guard | _post("Answers for rows", "Rows", "Predictions", _rows_example(example))
        },
        f"{base}/infer": {
            "post": guard
            | _post("Open Inference Protocol", "Infer", "Inferred", _infer_example(contract, example))
        },
        f"{base}/versions/{version}/infer": {
            "post": guard
            | _post(
                "Open Inference Protocol, of this version",
                "Infer",
                "Inferred",
                _infer_example(contract, example),
            )
        },
        "/v2": {"get": _get("The server", {"type": "object", "required": ["name", "version", "extensions"]})},
        base: {
            "get": guard
            | _get("The model's inputs and outputs", {"$ref": "#/components/schemas/Metadata"}, secured)
        },
        f"{base}/versions/{version}": {
            "get": guard
            | _get("The same, of this version", {"$ref": "#/components/schemas/Metadata"}, secured)
        },
        "/v2/health/live": {"get": {"summary": "Is the process alive?", "responses": {"200": ok}}},
    }
    for path in ("/v2/health/ready", f"{base}/ready", f"{base}/versions/{version}/ready"):
        paths[path] = {
            "get": {
                "summary": "May it be sent requests?",
                "responses": {"200": ok, "503": _problem("not now, and why")},
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{model}, served by Model Preflight", "version": version},
        "paths": paths,
        "components": {
            "schemas": _schemas(contract, limits),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _post(summary: str, request: str, answer: str, example: Any) -> dict[str, Any]:
    return {
        "summary": summary,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": f"#/components/schemas/{request}"},
                    "example": example,
                }
            },
        },
        "responses": {
            "200": {
                "description": "the answers",
                "headers": {"X-Prediction-Id": {"schema": {"type": "string"}}},
                "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{answer}"}}},
            },
            "400": _problem("the body is not of this form"),
            "401": _problem("a token is needed"),
            "413": _problem("too many bytes or rows"),
            "415": _problem("the body is compressed"),
            "422": _problem("the rows break the contract"),
            "500": _problem("the model's answer breaks the contract, or there is none"),
            "503": _problem("too busy; see Retry-After"),
        },
    }


def _get(summary: str, schema: Mapping[str, Any], secured: bool = False) -> dict[str, Any]:
    responses = {"200": {"description": summary, "content": {"application/json": {"schema": dict(schema)}}}}
    return {
        "summary": summary,
        "responses": responses | ({"401": _problem("a token is needed")} if secured else {}),
    }


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _rows_example(example: Mapping[str, Any]) -> dict[str, Any]:
    return {"rows": [dict(example)]}


def _infer_example(contract: Mapping[str, Any], example: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "inputs": [
            {
                "name": feature["name"],
                "datatype": feature_datatype(feature),
                "shape": [1],
                "data": [example[feature["name"]]],
            }
            for feature in contract["features"]
        ]
    }


def _schemas(contract: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    tensor = {
        "name": {"type": "string", "minLength": 1},
        "datatype": {"type": "string", "enum": list(DTYPES)},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 3},
        "data": {"type": "array"},
    }
    needed = ["name", "datatype", "shape", "data"]
    text = {"type": "string"}
    return {
        "Rows": {
            "type": "object",
            "required": ["rows"],
            "additionalProperties": False,
            "properties": {
                "id": {"type": ["string", "null"], "maxLength": 200},
                "rows": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": limits.rows,
                    "items": _row_schema(contract),
                },
            },
        },
        "Predictions": {
            "type": "object",
            "required": ["model_name", "model_version", "prediction_id", "predictions"],
            "properties": {
                "model_name": text,
                "model_version": text,
                "prediction_id": text,
                "id": text,
                "predictions": {"type": "array", "items": {"type": "object"}},
            },
        },
        "Infer": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": {"type": ["string", "null"], "maxLength": 200},
                "inputs": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "object", "required": needed, "properties": tensor},
                },
                "outputs": {
                    "type": ["array", "null"],
                    "maxItems": 100,
                    "items": {"type": "object", "required": ["name"], "properties": {"name": text}},
                },
                "parameters": {"type": ["object", "null"]},
            },
        },
        "Inferred": {
            "type": "object",
            "required": ["model_name", "model_version", "id", "outputs"],
            "properties": {
                "model_name": text,
                "model_version": text,
                "id": text,
                "outputs": {
                    "type": "array",
                    "items": {"type": "object", "required": needed, "properties": tensor},
                },
            },
        },
        "Metadata": {
            "type": "object",
            "required": ["name", "versions", "platform", "inputs", "outputs"],
            "properties": {"name": text, "versions": {"type": "array", "items": text}, "platform": text},
        },
        "Problem": {
            "type": "object",
            "required": ["error", "type", "hint"],
            "properties": {
                "error": text,
                "type": text,
                "hint": text,
                "features": {"type": "array", "items": text},
                "rows": {"type": "array", "items": {"type": "integer"}},
            },
        },
    }


def _row_schema(contract: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [feature["name"] for feature in contract["features"]],
        "additionalProperties": False,
        "properties": {feature["name"]: _value_schema(feature, contract) for feature in contract["features"]},
    }


def _value_schema(feature: Mapping[str, Any], contract: Mapping[str, Any]) -> dict[str, Any]:
    nullable = bool(contract.get("allow_missing") and feature.get("missing"))
    categories = feature.get("categories")
    if categories is not None:
        return {"enum": [*categories, *([None] if nullable else [])]}
    kind = {"BOOL": "boolean", "BYTES": "string", "INT64": "integer", "FP64": "number"}[
        feature_datatype(feature)
    ]
    return {"type": [kind, "null"]} if nullable else {"type": kind}
