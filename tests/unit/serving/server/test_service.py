"""Health, metadata, metrics, access and bounds, as a caller sees them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from validator.errors import PreflightError, UsageError
from validator.registry.errors import DamagedError
from validator.serving.server.access import read_token
from validator.serving.server.limits import Limits, ServeOptions
from validator.serving.server.opening import locate, open_model
from validator.serving.server.serve import assemble

ROW = {"f0": 0.1, "f1": -0.5, "f2": 2.0, "f3": 0.25}
TOKEN = "correct-horse-battery-staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def test_the_protocols_paths_tell_of_server_model_and_version(ask):
    assert ask("GET", "/v2").json()["extensions"] == ["binary_tensor_data"]
    version = ask.service.metrics.served.version
    for path in ("/v2/models/m", f"/v2/models/m/versions/{version}"):
        told = ask("GET", path).json()
        assert (told["name"], told["versions"]) == ("m", [version])
        assert told["inputs"][0] == {"name": "f0", "datatype": "FP64", "shape": [-1]}
        assert {one["name"]: one["shape"] for one in told["outputs"]} == {
            "label": [-1],
            "probabilities": [-1, 2],
        }
        assert ask("GET", f"{path}/ready").status_code == 200
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert ask("GET", path).status_code == 200


@pytest.mark.parametrize("path", ["/v2/models/other", "/v2/models/m/versions/v1", "/v2/models/other/ready"])
def test_another_model_or_version_is_not_here(ask, path):
    told = ask("GET", path)
    assert (told.status_code, told.json()["type"]) == (404, "UnknownModelError")
    posted = ask("POST", f"{path.removesuffix('/ready')}/infer", json={})
    assert posted.status_code == 404


def test_a_wrong_path_or_method_is_told_in_the_same_form(ask):
    assert set(ask("GET", "/nothing").json()) == {"error", "type", "hint"}
    assert ask("GET", "/predict").status_code == 405
    assert ask("DELETE", "/v2").status_code == 405


def test_every_series_is_there_at_zero_before_the_first_request(ask):
    found = ask.samples()
    for outcome in ("ok", "refused", "invalid_output", "error", "shed"):
        assert found[f"preflight_requests_total{{outcome={outcome}}}"] == 0
    assert found["preflight_rows_total"] == 0
    assert found["preflight_request_seconds_bucket{le=0.05}"] == 0
    assert found["preflight_request_seconds_count"] == 0
    (info,) = [name for name in found if name.startswith("preflight_model_info")]
    assert "digest=sha256:" in info
    assert "verdict=pass" in info
    assert found["preflight_model_created_timestamp_seconds"] == pytest.approx(1762335000, abs=86400)
    assert not any("lease" in name or "shadow" in name for name in found)


def test_the_promised_limit_is_a_bucket_of_its_own(serving):
    assert "preflight_request_seconds_bucket{le=0.0123}" in serving(slo_ms=12.3).samples()


def test_counts_are_what_the_caller_saw(ask):
    seen = {200: 0, 422: 0, 400: 0}
    for i in range(30):
        row = {**ROW, "f1": None} if i % 5 == 0 else ROW
        seen[ask.predict(*[row] * (i % 3 + 1)).status_code] += 1
    seen[ask("POST", "/predict", content=b"{").status_code] += 1
    found = ask.samples()
    assert found["preflight_requests_total{outcome=ok}"] == seen[200]
    assert found["preflight_requests_total{outcome=refused}"] == seen[422] + seen[400]
    assert found["preflight_request_seconds_count"] == 31
    assert found["preflight_rows_total"] == sum(i % 3 + 1 for i in range(30) if i % 5)


@pytest.mark.parametrize("form", ["t={:.3f}", "{:.0f}"])
def test_time_counts_from_the_proxys_stamp(ask, form):
    for unit in (1, 1e3, 1e6, 1e9):
        stamp = form.format((time.time() - 5) * unit)
        ask.predict(ROW, headers={"X-Request-Start": stamp})
    found = ask.samples()
    assert found["preflight_request_seconds_bucket{le=2.5}"] == 0
    assert found["preflight_request_seconds_count"] == 4
    assert 16 < found["preflight_request_seconds_sum"] < 60


@pytest.mark.parametrize(
    "stamp", ["t=abc", "", "1", "99999999999999999999", "t=99999999999.5", "-1", "1" * 400]
)
def test_a_stamp_that_cannot_be_is_ignored(ask, stamp):
    assert ask.predict(ROW, headers={"X-Request-Start": stamp}).status_code == 200
    assert ask.samples()["preflight_request_seconds_sum"] < 10


def test_predictions_and_the_contract_need_the_token_where_there_is_one(serving):
    ask = serving(token=TOKEN)
    for refused in (ask.predict(ROW), ask.predict(ROW, headers={"Authorization": "Bearer wrong"})):
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    for path in ("/v2/models/m", "/about", "/recent", "/openapi.json"):
        assert ask("GET", path).status_code == 401
        assert ask("GET", path, headers=BEARER).status_code == 200
    for path in (
        "/v2/health/live",
        "/v2/health/ready",
        "/v2",
        "/",
        "/docs",
        "/metrics",
        "/v2/models/m/ready",
    ):
        assert ask("GET", path).status_code == 200
    assert ask.predict(ROW, headers=BEARER).status_code == 200
    assert ask.samples()["preflight_requests_total{outcome=refused}"] == 0


def test_metrics_need_their_own_token(serving):
    ask = serving(metrics_token=TOKEN)
    assert ask("GET", "/metrics").status_code == 401
    assert ask("GET", "/metrics", headers=BEARER).status_code == 200
    assert ask.predict(ROW).status_code == 200


def test_nothing_shows_a_token(serving):
    ask = serving(token=TOKEN, metrics_token=TOKEN, lease_token=TOKEN)
    told = [
        ask("GET", path, headers=BEARER).text
        for path in ("/about", "/metrics", "/openapi.json", "/lease", "/")
    ]
    assert not any(TOKEN in text for text in told)


@pytest.mark.parametrize("content", ["", "short", "with a space in it, and long enough", "x" * 15])
def test_a_token_file_must_hold_a_token(tmp_path, content):
    file = tmp_path / "token"
    file.write_text(content)
    with pytest.raises(UsageError):
        read_token(file)
    file.write_text("y" * 32 + "\n")
    assert read_token(file) == "y" * 32


def test_an_expired_lease_takes_the_server_out_until_it_is_renewed(serving):
    ask = serving(lease_s=600.0)
    now = [0.0]
    ask.service.lease._monotonic = lambda: now[0]
    assert ask("PUT", "/lease", json={"seconds": 5}).json()["seconds_left"] == 5
    assert ask("GET", "/v2/health/ready").status_code == 200
    assert ask.samples()["preflight_lease_expires_timestamp_seconds"] == pytest.approx(time.time() + 5, abs=2)
    now[0] = 5.0
    for path in ("/v2/health/ready", "/v2/models/m/ready"):
        told = ask("GET", path)
        assert (told.status_code, told.json()["type"]) == (503, "NotReadyError")
        assert "lease" in told.json()["error"]
    assert ask("GET", "/v2/health/live").status_code == 200
    assert ask.predict(ROW).status_code == 200  # what a proxy still sends is answered
    assert ask("PUT", "/lease").json()["seconds_left"] == 5
    assert ask("GET", "/v2/health/ready").status_code == 200
    now[0] = 50.0
    ask("DELETE", "/lease")
    assert ask("GET", "/v2/health/ready").status_code == 200
    assert "preflight_lease_expires_timestamp_seconds" not in ask.samples()


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"seconds": "5"}',
        b'{"seconds": true}',
        b'{"seconds": 0}',
        b'{"seconds": -1}',
        b'{"seconds": 1e9}',
        b"{}",
        b'"' + b"x" * 2_000 + b'"',
    ],
)
def test_a_malformed_lease_changes_nothing(serving, body):
    ask = serving(lease_s=600.0)
    assert ask("PUT", "/lease", content=body).status_code in (400, 413)
    assert ask("GET", "/lease").json()["seconds_left"] == pytest.approx(600, abs=20)


def test_a_lease_is_taken_from_this_machine_alone_or_with_its_token(serving):
    ask = serving(lease_s=600.0)
    for name in ("X-Forwarded-For", "Forwarded", "Via", "X-Request-Start", "Origin"):
        assert ask("PUT", "/lease", headers={name: "1.2.3.4"}).status_code == 403
    ask.client = ("10.0.0.7", 1)
    assert ask("PUT", "/lease").status_code == 403
    assert ask("GET", "/lease").status_code == 403
    ask.service  # noqa: B018
    secured = serving(lease_s=600.0, lease_token=TOKEN)
    secured.client = ("10.0.0.7", 1)
    assert secured("PUT", "/lease").status_code == 401
    assert secured("PUT", "/lease", headers=BEARER).status_code == 200


def test_without_a_lease_there_is_nothing_to_expire(ask):
    assert ask("GET", "/lease").json() == {"seconds_left": None, "expires": None, "expired": False}
    assert ask("PUT", "/lease").status_code == 400


def test_draining_says_not_ready_answers_on_and_closes_connections(ask):
    ask.service.is_draining = True
    assert ask("GET", "/v2/health/ready").status_code == 503
    answer = ask.predict(ROW)
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert ask("GET", "/v2/health/live").headers["connection"] == "close"


def test_bytes_and_rows_are_bounded(serving):
    ask = serving(limits=Limits(body_bytes=10_000, rows=50))
    too_many = ask.predict(*[ROW] * 51)
    assert (too_many.status_code, too_many.json()["type"]) == (413, "TooManyRowsError")
    for content in (b" " * 10_001, iter([b" " * 6_000] * 2)):
        too_large = ask("POST", "/predict", content=_whole(content))
        assert (too_large.status_code, too_large.json()["type"]) == (413, "BodyTooLargeError")
    chunked = ask("POST", "/predict", content=_parts([b" " * 6_000] * 2))
    assert chunked.status_code == 413
    deep = ask("POST", "/predict", content=b'{"rows":' + b"[" * 9_000)
    assert deep.status_code == 400
    compressed = ask("POST", "/predict", content=b"{}", headers={"Content-Encoding": "gzip"})
    assert compressed.status_code == 415


def _whole(content):
    return content if isinstance(content, bytes) else b"".join(content)


async def _parts(parts):
    for part in parts:
        yield part


def test_beyond_what_may_be_under_way_callers_are_told_to_come_back(serving):
    ask = serving(limits=Limits(in_flight=2))

    async def slow_body():
        yield b'{"rows": '
        await gate.wait()
        yield b"[]}"

    async def scenario():
        nonlocal gate
        gate = asyncio.Event()
        transport = httpx.ASGITransport(app=ask.service)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            waiting = [asyncio.create_task(client.post("/predict", content=slow_body())) for _ in range(2)]
            await asyncio.sleep(0.05)
            shed = await client.post("/predict", json={"rows": [ROW]})
            health = await client.get("/v2/health/ready")
            gate.set()
            return shed, health, [one.status_code for one in await asyncio.gather(*waiting)]

    gate = None
    shed, health, others = asyncio.run(scenario())
    assert (shed.status_code, shed.headers["retry-after"]) == (503, "1")
    assert health.status_code == 200
    assert others == [422, 422]
    found = ask.samples()
    assert found["preflight_requests_total{outcome=shed}"] == 1
    assert found["preflight_request_seconds_count"] == 2


def test_the_pages_bring_everything_along_and_hold_nothing_of_the_model(ask):
    for path in ("/", "/docs"):
        page = ask("GET", path)
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "http:" not in page.text
        assert "https:" not in page.text
        assert "f0" not in page.text
    for path in ("/page.js", "/docs.js", "/page.css"):
        assert ask("GET", path).status_code == 200
        assert "innerHTML" not in ask("GET", path).text


def test_the_description_names_every_path_and_its_examples_are_answered(ask):
    description = ask("GET", "/openapi.json").json()
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody")
            changes = {"json": body["content"]["application/json"]["example"]} if body else {}
            answer = ask(method.upper(), path, **changes)
            assert answer.status_code == 200, (path, answer.text)


def test_an_image_is_served_by_its_digest_alone(tmp_path, monkeypatch):
    """From a layout folder, and from this user's cache where the registry does not answer."""
    from tests.unit.serving.conftest import contract_of, features, logistic_graph, result_of
    from validator.artifact.write import write_artifact
    from validator.registry.layout import LayoutRepository
    from validator.registry.pushing import push

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    result = result_of(contract_of(features("f0", "f1", "f2", "f3")))
    made = write_artifact(tmp_path, result=result, onnx=logistic_graph(), report_md="# R")
    pushed = push(LayoutRepository(tmp_path / "registry" / "m"), Path(made.path))
    opened = open_model(pushed.reference)
    assert opened.served.digest == pushed.digest
    assert opened.served.version == pushed.version
    assert opened.identity["serving"]["path"] == pushed.reference
    with pytest.raises(UsageError, match="names no digest") as caught:
        open_model(f"{tmp_path}/registry/m:{pushed.version}")
    assert pushed.reference in caught.value.hint
    with pytest.raises(UsageError, match="no reference"):
        open_model("https://somewhere/m")
    with pytest.raises(DamagedError), locate(f"{tmp_path}/registry/m@{spoiled(tmp_path, pushed.digest)}"):
        pass
    cache = LayoutRepository(tmp_path / "cache" / "model-preflight" / "images")
    push(cache, Path(made.path))
    served = open_model(f"oci://registry.invalid/m@{pushed.digest}").served
    assert served.digest == pushed.digest


def test_the_serving_image_takes_the_commands_name_too(tmp_path, capsys):
    from validator.serving.__main__ import main

    for given in ([f"{tmp_path}/absent"], ["serve", f"{tmp_path}/absent"]):
        assert main(given) == 2
        assert f"there is no artifact folder {tmp_path}/absent" in capsys.readouterr().err


def spoiled(folder, digest):
    """The same digest, whose layer was changed on the disk."""
    import json

    blobs = folder / "registry" / "m" / "blobs" / "sha256"
    layer = json.loads((blobs / digest[7:]).read_bytes())["layers"][0]["digest"]
    (blobs / layer[7:]).write_bytes(b"x" * (blobs / layer[7:]).stat().st_size)
    return digest


def test_it_is_named_by_the_digest_of_the_image_that_it_was_mounted_from(make_artifact):
    digest = f"sha256:{'0' * 64}"
    told = []
    assembled = assemble(str(make_artifact()), ServeOptions(digest=digest), told.append)
    assert assembled.opened.served.digest == digest
    assert digest in assembled.service.metrics.render().decode()


def test_what_may_not_be_served_is_not(make_artifact, tmp_path):
    failed = make_artifact(verdict="fail", reason="one check failed")
    with pytest.raises(PreflightError, match="one check failed"):
        open_model(str(failed))
    assert open_model(str(failed), override="a drill").served.override == "a drill"
    with pytest.raises(PreflightError, match="there is no artifact folder"):
        open_model(str(tmp_path / "absent"))
