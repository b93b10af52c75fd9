"""The server against its own OpenAPI description, by requests that schemathesis makes from it."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

HONEST = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_the_server_holds_to_its_description(serving, mixed, mode):
    """Of a model with text, whole numbers and floats: requests that fit the description, and such as do not."""
    onnx, _, _, contract = mixed
    service = serving(onnx, contract).service
    schema = schemathesis.openapi.from_asgi("/openapi.json", service)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == 10
    seen = set()
    for operation in operations:
        if not operation.body and mode is schemathesis.GenerationMode.NEGATIVE:
            continue

        @settings(max_examples=12, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy(generation_mode=mode))
        def hold(case: Any) -> None:
            response = case.call()
            seen.add(response.status_code)
            case.validate_response(response, checks=HONEST)

        hold()
    assert seen >= ({200} if mode is schemathesis.GenerationMode.POSITIVE else {400})
