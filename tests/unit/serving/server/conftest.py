"""A service in this process, asked over ASGI as a server would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from validator.serving.server.limits import ServeOptions
from validator.serving.server.serve import Assembled, assemble

LOCAL = ("127.0.0.1", 5)


@dataclass
class Asker:
    """Sends requests to a service, one at a time or many at once."""

    assembled: Assembled
    client: tuple[str, int] = LOCAL

    @property
    def service(self) -> Any:
        return self.assembled.service

    def __call__(self, method: str, path: str, **changes: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.service, client=self.client)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await client.request(method, path, **changes)

        return asyncio.run(ask())

    def predict(self, *rows: Mapping[str, Any], **changes: Any) -> httpx.Response:
        return self("POST", "/predict", json={"rows": list(rows)}, **changes)

    def infer(self, document: Mapping[str, Any], **changes: Any) -> httpx.Response:
        return self("POST", "/v2/models/m/infer", json=document, **changes)

    def samples(self, **changes: Any) -> dict[str, float]:
        """The metrics: `name{labels but model and version}` to value."""
        from prometheus_client.parser import text_string_to_metric_families

        found = {}
        for family in text_string_to_metric_families(self("GET", "/metrics", **changes).text):
            for sample in family.samples:
                own = {k: v for k, v in sample.labels.items() if k not in ("model", "version")}
                shown = ",".join(f"{k}={v}" for k, v in sorted(own.items()))
                found[f"{sample.name}{{{shown}}}" if shown else sample.name] = sample.value
        return found


@pytest.fixture
def serving(make_artifact: Callable[..., Path]) -> Callable[..., Asker]:
    """A service of an artifact of the logistic graph (or `onnx`, `contract`); other keywords are options."""

    def make(
        onnx: bytes | None = None, contract: Any = None, tell: Callable[[str], None] = print, **changes: Any
    ) -> Asker:
        folder = make_artifact(onnx, contract)
        return Asker(assemble(str(folder), ServeOptions(**changes), tell))

    return make


@pytest.fixture
def ask(serving: Callable[..., Asker]) -> Asker:
    return serving()
