"""A stand-in for a Kubernetes API that serves InferenceServices, with KServe's webhook and controller, for tests.

    with KubernetesAPI(service, token="t") as api:
        ... GET and PATCH api.url + /apis/serving.kserve.io/v1beta1/namespaces/models/inferenceservices/trading
        assert api.shares() == {"blue": 75, "green": 25}

It keeps one object. As the real one it wants a token, knows one account's rights (get and patch of that one name), merges
patches (RFC 7386), raises `resourceVersion` and `generation`, refuses a stale `resourceVersion` with 409 and a patch of
another content type with 415, and with ``fieldValidation=Strict`` refuses fields that the definition does not know;
without it they are dropped silently. Errors are `Status` objects.

`schema`: the structural schema of the custom resource (as in its definition), by which everything stored is checked;
without one only the fields that are named here are known. `knows_canary=False` is a KServe before 0.20.
The webhook refuses a canary without a name, names that are used twice and more than 100 % in all. The controller works
when `reconcile()` is called, or at once: it reports readiness by `ready`, and how many pods each predictor runs.
"""

from __future__ import annotations

import copy
import json
import math
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import jsonschema

GROUP = "serving.kserve.io/v1beta1"
#: What is known where no schema is given: enough for whatever is sent here.
_KNOWN = {
    "": {"apiVersion", "kind", "metadata", "spec", "status"},
    "spec": {"predictor", "canary", "transformer", "explainer"},
    "predictor": {
        "name",
        "minReplicas",
        "maxReplicas",
        "containers",
        "volumes",
        "canaryTrafficPercent",
        "serviceAccountName",
    },
    "canary": {"predictor", "trafficPercent"},
}


class Refusal(Exception):
    """What the API answers instead."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


@dataclass(frozen=True)
class Call:
    """One request that was made."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    status: int


class KubernetesAPI:
    """The server; `document` is what is stored."""

    def __init__(
        self,
        document: dict[str, Any],
        *,
        namespace: str = "models",
        token: str = "t",
        schema: Mapping[str, Any] | None = None,
        knows_canary: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.document = copy.deepcopy(document)
        self.document["metadata"] |= {"namespace": namespace, "resourceVersion": "1", "generation": 1}
        self.namespace, self.token, self.knows_canary = namespace, token, knows_canary
        self._stored = None if schema is None else jsonschema.Draft202012Validator(schema)
        self._known = None if schema is None else jsonschema.Draft202012Validator(strict(schema))
        self.ready = {"blue": True, "green": True}
        self.lags = False
        self.calls: list[Call] = []
        self.before_patch: Callable[[KubernetesAPI], None] | None = None
        self.answers: Callable[[str], tuple[int, bytes] | None] = lambda method: None
        self._lock = threading.RLock()
        self._store(self.document, raised=False)
        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        if tls is not None:
            self._httpd.socket = tls.wrap_socket(self._httpd.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._httpd.server_port}"
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._httpd.shutdown()
        self._thread.join()
        self._httpd.server_close()

    # the API

    def answer(
        self, method: str, path: str, query: Mapping[str, str], headers: Any, body: bytes
    ) -> tuple[int, Any]:
        """What is answered to a request."""
        with self._lock:
            try:
                self._permitted(method, path, headers.get("Authorization", ""))
                if method == "PATCH":
                    self._patched(query, headers, body)
            except Refusal as refusal:
                return refusal.code, {
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": refusal.message, "reason": refusal.reason, "code": refusal.code,
                }  # fmt: skip
            return 200, self.document

    def _patched(self, query: Mapping[str, str], headers: Any, body: bytes) -> None:
        if headers.get("Content-Type") != "application/merge-patch+json":
            raise Refusal(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
        if self.before_patch is not None:
            self.before_patch(self)
        self._patch(json.loads(body), query)

    def _permitted(self, method: str, path: str, authorization: str) -> None:
        if authorization != f"Bearer {self.token}":
            raise Refusal(401, "Unauthorized", "Unauthorized")
        name = self.document["metadata"]["name"]
        own = f"/apis/{GROUP}/namespaces/{self.namespace}/inferenceservices/{name}"
        if path.startswith(own.rpartition("/")[0]) and path != own:
            raise Refusal(
                404, "NotFound", f'inferenceservices.serving.kserve.io "{path.rpartition("/")[2]}" not found'
            )
        if path != own or method not in ("GET", "PATCH"):
            raise Refusal(403, "Forbidden", f"cannot {method} {path}: this account may get and patch {own}")

    def _patch(self, change: Any, query: Mapping[str, str]) -> None:
        stale = change.get("metadata", {}).get("resourceVersion")
        if stale not in (None, self.document["metadata"]["resourceVersion"]):
            raise Refusal(
                409,
                "Conflict",
                "the object has been modified; please apply your changes to the latest version",
            )
        after = merged(self.document, change)
        unknown = self._unknown(after)
        if unknown and query.get("fieldValidation") == "Strict":
            raise Refusal(400, "BadRequest", f"strict decoding error: unknown field {json.dumps(unknown[0])}")
        if not self.knows_canary:
            after["spec"].pop("canary", None)
        self._store(after, raised=True)

    def _store(self, after: dict[str, Any], *, raised: bool) -> None:
        for error in self._stored.iter_errors(after) if self._stored is not None else ():
            where = ".".join(str(part) for part in error.absolute_path)
            raise Refusal(422, "Invalid", f"{where}: Invalid value: {error.message}")
        self._webhook(after)
        if raised:
            metadata = after["metadata"]
            metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
            metadata["generation"] += after["spec"] != self.document["spec"]
        self.document = after
        if not self.lags:
            self.reconcile()

    def _unknown(self, document: Mapping[str, Any]) -> list[str]:
        if self._known is not None and self.knows_canary:
            errors = self._known.iter_errors(document)
            return [error.message for error in errors if error.validator == "additionalProperties"]
        spec = document.get("spec", {})
        parts: list[tuple[str, str, Any]] = [("", "", document), ("spec", "spec", spec)]
        parts.append(("spec.predictor", "predictor", spec.get("predictor", {})))
        for index, canary in enumerate(spec.get("canary") or []):
            parts.append((f"spec.canary[{index}]", "canary", canary))
            parts.append((f"spec.canary[{index}].predictor", "predictor", canary.get("predictor", {})))
        found = [
            f"{where}.{key}".strip(".") for where, kind, part in parts for key in part.keys() - _KNOWN[kind]
        ]
        return found + (["spec.canary"] if "canary" in spec and not self.knows_canary else [])

    # KServe's own

    @staticmethod
    def _webhook(document: Mapping[str, Any]) -> None:
        spec = document["spec"]
        canaries = spec.get("canary") or []
        if not canaries:
            return
        names = [spec["predictor"].get("name"), *(canary["predictor"].get("name") for canary in canaries)]
        told = 'admission webhook "inferenceservice.kserve-webhook-server.validator" denied the request: '
        if not all(names[1:]):
            raise Refusal(403, "Forbidden", f"{told}canary predictor name is required")
        if len(set(names)) != len(names):
            raise Refusal(403, "Forbidden", f"{told}canary predictor names must be unique")
        if sum(canary["trafficPercent"] for canary in canaries) > 100:
            raise Refusal(403, "Forbidden", f"{told}canary traffic exceeds 100 percent")

    def reconcile(self) -> None:
        """What the controller makes of the specification."""
        spec, metadata = self.document["spec"], self.document["metadata"]
        stable = spec["predictor"].get("name") or "blue"
        statuses = []
        for canary in spec.get("canary") or []:
            name = canary["predictor"]["name"]
            ready = self.ready.get(name, True) and self.pods(name) > 0
            statuses.append({"name": name, "ready": ready, "trafficPercent": canary["trafficPercent"]})
        ready = "True" if self.ready.get(stable, True) else "False"
        self.document["status"] = {
            "deploymentMode": metadata.get("annotations", {}).get(
                "serving.kserve.io/deploymentMode", "Standard"
            ),
            "observedGeneration": metadata["generation"],
            "conditions": [
                {"type": "PredictorReady", "status": ready, "reason": "" if ready == "True" else "Failed"}
            ],
            "canaryStatuses": statuses,
        }

    def pods(self, name: str) -> int:
        """How many pods a predictor runs."""
        spec = self.document["spec"]
        total, taken = spec["predictor"].get("minReplicas", 1), 0
        for canary in spec.get("canary") or []:
            own = canary["predictor"].get("minReplicas")
            count = math.ceil(total * canary["trafficPercent"] / 100) if own is None else own
            if canary["predictor"].get("name") == name:
                return int(count)
            taken += count
        return int(max(total - taken, 1)) if spec["predictor"].get("name") == name else 0

    def shares(self) -> dict[str, int]:
        """Percent of the traffic by predictor: what the gateway is told."""
        spec = self.document["spec"]
        found = {c["predictor"]["name"]: int(c["trafficPercent"]) for c in spec.get("canary") or []}
        return {spec["predictor"].get("name") or "": 100 - sum(found.values()), **found}

    # HTTP

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                odd = api.answers(self.command)
                if odd is not None:
                    status, content = odd
                else:
                    status, document = api.answer(self.command, parts.path, query, self.headers, body)
                    content = json.dumps(document).encode()
                sent = json.loads(body) if body else None
                api.calls.append(Call(self.command, parts.path, query, sent, status))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PATCH = do_PUT = do_DELETE = _serve

            def log_message(self, *_: object) -> None:
                """Calls are kept."""

        return Handler


def strict(schema: Any) -> Any:
    """Unknown fields are refused, as `kubectl --validate=strict` does."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    keeps = found.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(found.get("properties"), dict) and "type" in found and not keeps:
        found.setdefault("additionalProperties", False)
        if "metadata" in found["properties"] and "apiVersion" in found["properties"]:
            found["properties"]["metadata"] = {"type": "object"}
    return found


def merged(target: Any, patch: Any) -> Any:
    """A merge patch applied, as RFC 7386 says."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
