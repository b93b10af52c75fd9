"""Every path but predictions: health, metadata, metrics, the lease, the page and the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from validator.serving.metrics.server import CONTENT_TYPE, recent
from validator.serving.server import documents
from validator.serving.server.access import check_token, is_local
from validator.serving.server.limits import ServeOptions
from validator.serving.server.page import DOCS, PAGE, SCRIPTS, STYLE
from validator.serving.server.predictor import output_metadata
from validator.serving.server.problem import RequestError, problem_document, shown
from validator.serving.server.service import Service

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_LEASE_BYTES = 1_000


class Views:
    """The handlers. `about` is what the page shows: JSON values."""

    def __init__(
        self, service: Service, options: ServeOptions, identity: Mapping[str, Any], example: Mapping[str, Any]
    ) -> None:
        served = service.metrics.served
        contract = identity["contract"]
        self._service = service
        self._options = options
        self._model, self._version = served.model, served.version
        self._metadata = documents.model_metadata(
            served.model, served.version, contract["features"], output_metadata(service.predictor.outputs)
        )
        self._openapi = documents.openapi(
            model=served.model,
            version=served.version,
            contract=contract,
            example=example,
            limits=options.limits,
            secured=options.token is not None,
        )
        self._about = {
            "model": served.model,
            "version": served.version,
            "verdict": served.verdict,
            "override": served.override,
            "digest": served.digest,
            "created_at": identity.get("created_at"),
            "git_commit": identity.get("git_commit"),
            "parity": identity.get("parity"),
            "slo_ms": service.metrics.slo_s * 1e3,
            "task": contract["task"],
            "classes": contract["classes"],
            "features": [
                {**feature, "datatype": documents.feature_datatype(feature)}
                for feature in contract["features"]
            ],
            "example": dict(example),
        }

    def application(self) -> Starlette:
        """The routes, with answers to errors in our own form."""
        one = "/v2/models/{model}"
        routes = [
            Route("/", self.page),
            *(Route(f"/{name}", self.script) for name in SCRIPTS),
            Route("/page.css", self.style),
            Route("/docs", self.docs),
            Route("/favicon.ico", self.no_icon),
            Route("/openapi.json", self.description),
            Route("/about", self.about),
            Route("/recent", self.recent),
            Route("/metrics", self.metrics),
            Route("/lease", self.lease, methods=["GET", "PUT", "DELETE"]),
            Route("/v2", self.server),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.ready),
            Route(one, self.model),
            Route(f"{one}/ready", self.model_ready),
            Route(f"{one}/versions/{{version}}", self.model),
            Route(f"{one}/versions/{{version}}/ready", self.model_ready),
            Route(f"{one}/infer", self.unknown_model, methods=["POST"]),
            Route(f"{one}/versions/{{version}}/infer", self.unknown_model, methods=["POST"]),
            Route("/predict", self.unknown_model, methods=["POST"]),
        ]
        handlers: Any = {HTTPException: _http_problem, RequestError: _problem}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def live(self, _request: Request) -> Response:
        return _json({"live": True})

    async def ready(self, _request: Request) -> Response:
        why = self._service.why_not_ready()
        return _json({"ready": True}) if not why else _json(_not_ready(why), 503)

    async def model_ready(self, request: Request) -> Response:
        self._check_model(request)
        why = self._service.why_not_ready()
        if why:
            return _json(_not_ready(why), 503)
        return _json({"name": self._model, "ready": True})

    async def server(self, _request: Request) -> Response:
        return _json(documents.server_metadata())

    async def model(self, request: Request) -> Response:
        self._check_token(request)
        self._check_model(request)
        return _json(self._metadata)

    async def unknown_model(self, request: Request) -> Response:
        self._check_model(request)
        raise HTTPException(404)

    async def metrics(self, request: Request) -> Response:
        _check(self._options.metrics_token, request)
        return Response(self._service.metrics.render(), headers={"content-type": CONTENT_TYPE})

    async def recent(self, request: Request) -> Response:
        self._check_token(request)
        return _json(recent(self._service.metrics))

    async def about(self, request: Request) -> Response:
        self._check_token(request)
        return _json({**self._about, "ready": self._service.is_ready, "why": self._service.why_not_ready()})

    async def lease(self, request: Request) -> Response:
        """GET tells what is left, PUT renews, DELETE drops: from this machine, or with the lease's token."""
        wanted = self._options.lease_token
        if wanted is not None:
            _check(wanted, request)
        elif not is_local(request.client, request.headers.raw):
            raise RequestError(
                "a lease is only taken from a program on this machine",
                hint="start the server with --lease-token-file, and send that token",
                status=403,
                kind="ForbiddenError",
            )
        lease = self._service.lease
        if request.method == "DELETE":
            lease.drop()
        elif request.method == "PUT":
            try:
                lease.renew(_lease_seconds(await _small_body(request)))
            except ValueError as error:
                raise RequestError(str(error), hint='send {"seconds": 600}') from error
        return _json(
            {"seconds_left": lease.left(), "expires": lease.expires_s(), "expired": lease.is_expired}
        )

    async def page(self, _request: Request) -> Response:
        return Response(PAGE, media_type="text/html", headers=_HEADERS)

    async def docs(self, _request: Request) -> Response:
        return Response(DOCS, media_type="text/html", headers=_HEADERS)

    async def script(self, request: Request) -> Response:
        return Response(SCRIPTS[request.url.path[1:]], media_type="text/javascript", headers=_HEADERS)

    async def style(self, _request: Request) -> Response:
        return Response(STYLE, media_type="text/css", headers=_HEADERS)

    async def no_icon(self, _request: Request) -> Response:
        """Browsers ask for one: without a picture, and without an error in their log."""
        return Response(status_code=204)

    async def description(self, request: Request) -> Response:
        self._check_token(request)
        return _json(self._openapi)

    def _check_token(self, request: Request) -> None:
        _check(self._options.token, request)

    def _check_model(self, request: Request) -> None:
        name = request.path_params.get("model", self._model)
        version = request.path_params.get("version", self._version)
        if name != self._model or version != self._version:
            raise RequestError(
                f"there is no model {shown(name)}"
                + (f" of version {shown(version)}" if name == self._model else ""),
                hint=f"this server has {self._model}, version {self._version}",
                status=404,
                kind="UnknownModelError",
            )


def _check(token: str | None, request: Request) -> None:
    given = request.headers.get("authorization")
    check_token(token, given.encode("latin-1") if given is not None else None)


def _not_ready(why: str) -> dict[str, Any]:
    return {"ready": False, **problem_document("NotReadyError", f"not ready: {why}", "ask again later")}


def _json(document: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")


async def _small_body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > _LEASE_BYTES:
                raise RequestError("the body is too large", hint='send {"seconds": 600}', status=413)
    except ClientDisconnect:
        raise RequestError("the body is not whole", hint='send {"seconds": 600}') from None
    return bytes(body)


def _lease_seconds(body: bytes) -> float | None:
    """What the body asks for; None for what was agreed. Raises ValueError."""
    if not body.strip():
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ValueError("the body is not JSON") from None
    seconds = document.get("seconds") if type(document) is dict else None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise ValueError("the body does not say how many seconds")  # noqa: TRY004 - it becomes one answer
    return float(seconds)


async def _problem(_request: Request, error: RequestError) -> Response:
    response = _json(problem_document(error.kind, error.message, error.hint), error.status)
    for name, value in error.headers:
        response.headers[name.decode()] = value.decode()
    return response


async def _http_problem(_request: Request, error: HTTPException) -> Response:
    told = {404: "there is no such path", 405: "this path does not take that method"}
    message = told.get(error.status_code, "the request cannot be answered")
    response = _json(problem_document("HttpError", message, "see /docs for what there is"), error.status_code)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response
