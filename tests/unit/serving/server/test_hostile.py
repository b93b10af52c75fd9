"""Requests that want something else than a prediction, on the wire of a real server: none makes it fail or tell."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import struct
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.serving.conftest import contract_of, features, logistic_graph, result_of
from tests.unit.serving.server import served
from validator.artifact.write import write_artifact
from validator.profile import profile_json
from validator.profile.making import ProfileMaker

NAMES = ("f0", "f1\n# HELP x\nevil 1", 'ü"} 1\nevil{le="1', "__proto__")
ROW = dict(zip(NAMES, (0.1, -0.5, 2.0, 0.25), strict=True))
TOKEN = "letters-and-1234567890-of-a-token"
EIGHT = struct.pack("<4d", *ROW.values())


def dumped(document: Any) -> bytes:
    return json.dumps(document).encode()


OK = dumped({"rows": [ROW]})


def post(body: bytes, *head: bytes, path: bytes = b"/predict", token: bytes = TOKEN.encode()) -> bytes:
    own = [b"POST " + path + b" HTTP/1.1", b"host: x", b"authorization: Bearer " + token, *head]
    if not any(line.lower().startswith((b"content-length", b"transfer-encoding")) for line in head):
        own.append(b"content-length: %d" % len(body))
    return b"\r\n".join(own) + b"\r\n\r\n" + body


def chunk(body: bytes) -> bytes:
    return b"%x\r\n" % len(body) + body + b"\r\n"


def infer(more: dict[str, Any] | None = None, **of_first: Any) -> bytes:
    inputs = [{"name": n, "datatype": "FP64", "shape": [1], "data": [v]} for n, v in ROW.items()]
    inputs[0] |= of_first
    return post(dumped({"inputs": inputs} | (more or {})), path=b"/v2/models/m/infer")


def binary(sizes: list[Any], tail: bytes, *, length: object = None, **of_each: Any) -> bytes:
    head = dumped(
        {
            "inputs": [
                {"name": name, "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": size}}
                | of_each
                for name, size in zip(NAMES, sizes, strict=True)
            ]
        }
    )
    told = str(len(head) if length is None else length).encode()
    return post(head + tail, b"Inference-Header-Content-Length: " + told, path=b"/v2/models/m/infer")


def with_first(text: bytes) -> bytes:
    return post(OK.replace(b"0.1", text))


CASES: dict[str, tuple[bytes, str]] = {
    "both lengths": (post(chunk(OK) + b"0\r\n\r\n", b"content-length: 5", b"transfer-encoding: chunked"), "400"),
    "two lengths": (post(OK, b"content-length: %d" % len(OK), b"content-length: 3"), "400"),
    "length with a sign": (post(OK, b"content-length: +5"), "400"),
    "length in other digits": (post(OK, b"content-length: \xb2"), "400"),
    "unknown transfer coding": (post(chunk(OK) + b"0\r\n\r\n", b"transfer-encoding: xchunked"), "400"),
    "space before the colon": (post(chunk(OK) + b"0\r\n\r\n", b"transfer-encoding : chunked"), "400"),
    "folded header": (post(OK, b"x-a: 1\r\n folded"), "400"),
    "chunks": (post(chunk(OK[:9]) + chunk(OK[9:]) + b"0\r\n\r\n", b"transfer-encoding: chunked"), "200"),
    "trailer": (post(chunk(OK) + b"0\r\nx-t: 1\r\n\r\n", b"transfer-encoding: chunked"), "200"),
    "chunk beyond 64 bits": (post(b"F" * 17 + b"\r\nabc", b"transfer-encoding: chunked"), "400"),
    "negative chunk": (post(b"-5\r\nabc\r\n", b"transfer-encoding: chunked"), "400"),
    "chunks beyond the bound": (post(chunk(b" " * 65536) * 130, b"transfer-encoding: chunked"), "413"),
    "key twice": (post(b'{"rows":[],"rows":' + dumped([ROW]) + b"}"), "200"),
    "deep lists": (post(b'{"rows":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "400"),
    "deep objects": (post(b'{"rows":[{"f0":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}]}"), "422"),
    "NaN": (with_first(b"NaN"), "400"),
    "Infinity": (with_first(b"-Infinity"), "400"),
    "1e400": (with_first(b"1e400"), "400"),
    "10^400": (with_first(b"1" + b"0" * 400), "400"),
    "2^53 + 1": (with_first(b"9007199254740993"), "422"),
    "lone surrogate": (post(b'{"rows":[{"\\ud800":1}]}'), "400"),
    "surrogate as id": (post(OK[:-1] + b',"id":"\\ud800"}'), "400"),
    "no UTF-8": (post(b'{"rows":[{"\xff\xfe":1}]}'), "400"),
    "UTF-16": (post(OK.decode().encode("utf-16")), "400"),
    "byte order mark": (post(b"\xef\xbb\xbf" + OK), "400"),
    "id for a page and a head": (post(OK[:-1] + b',"id":"<script>\\r\\nset-cookie: a"}'), "200"),
    "many names": (post(dumped({"rows": [{f"n{i}": 1 for i in range(20_000)}]})), "422"),
    "rows that differ": (post(dumped({"rows": [ROW, {"f0": 1}]})), "422"),
    "negative shape": (infer(shape=[-1]), "400"),
    "vast shape": (infer(shape=[2**31 - 1] * 3), "400"),
    "shape of truth values": (infer(shape=[True]), "400"),
    "number beyond its type": (infer(datatype="INT64", data=[2**70]), "400"),
    "FP16 of a million": (infer(datatype="FP16", data=[1e6]), "400"),
    "text for a number": (infer(datatype="BYTES", data=["1"]), "422"),
    "binary": (binary([8] * 4, EIGHT), "200"),
    "binary one byte short": (binary([8] * 4, EIGHT[:-1]), "400"),
    "binary of 2^63 bytes": (binary([2**63, 8, 8, 8], EIGHT), "400"),
    "binary of -8 bytes": (binary([-8, 8, 8, 8], EIGHT), "400"),
    "binary that overlaps": (binary([16, 16, 0, 0], EIGHT), "400"),
    "binary after nothing": (binary([8] * 4, EIGHT, length=0), "400"),
    "binary beyond the body": (binary([8] * 4, EIGHT, length=999_999_999_999), "400"),
    "binary NaN": (binary([8] * 4, struct.pack("<4d", *[float("nan")] * 4)), "422"),
    "texts that lie": (binary([8] * 4, struct.pack("<I", 2**32 - 1) * 8, datatype="BYTES"), "400"),
    "output of no such name": (infer({"outputs": [{"name": "__class__"}]}), "400"),
    "gzip": (post(gzip.compress(OK), b"content-encoding: gzip"), "415"),
    "gzip bomb": (post(gzip.compress(b" " * 10_000_000), b"content-encoding: gzip"), "415"),
    "another content type": (post(OK, b"content-type: text/xml"), "200"),
    "many headers": (post(OK, *[b"x-%d: y" % i for i in range(3_000)]), "431"),
    "long header": (post(OK, b"x-a: " + b"y" * 500_000), "431"),
    "long path": (post(OK, path=b"/predict?" + b"a" * 100_000), "4"),
    "token in other letters": (post(OK, token=b"\xc3\xbc\xff"), "401"),
    "token with a second one": (post(OK, b"authorization: Bearer wrong"), "401"),
    "stamp in other digits": (post(OK, b"x-request-start: t=\xb2\xb3"), "200"),
    "HEAD": (post(b"").replace(b"POST", b"HEAD", 1), "405"),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", "404"),
    "CONNECT": (b"CONNECT evil:443 HTTP/1.1\r\nhost: x\r\n\r\n", "400"),
    "path out of the root": (b"GET /docs/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n", "404"),
    "path of no text": (b"GET /%zz%ff%00 HTTP/1.1\r\nhost: x\r\n\r\n", "404"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"),
    "garbage after a request": (post(OK) + b"garbage garbage\r\n\r\n", "400"),
}  # fmt: skip


def told(port: int, data: bytes) -> bytes:
    """What the server says to it, until the first answer is whole or the connection closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as caller:
        with contextlib.suppress(OSError):  # it may be closed before all was sent
            caller.sendall(data)
        found = b""
        with contextlib.suppress(ConnectionResetError):
            while True:
                head, whole, body = found.partition(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                if whole and (data.startswith(b"HEAD") or (length and len(body) >= int(length))):
                    return found
                got = caller.recv(65536)
                if not got:
                    return found
                found += got
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("hostile")
    maker = ProfileMaker()
    maker.add(dict(zip(NAMES, np.random.default_rng(0).normal(size=(4, 500)), strict=True)))
    written = write_artifact(
        folder,
        result=result_of(contract_of(features(*NAMES))),
        onnx=logistic_graph(),
        report_md="# R\n",
        profile=profile_json(maker.finish(source="reference", source_sha256="")),
    )
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    with served.serving(Path(written.path), "--token-file", str(folder / "token")) as found:
        yield found
        assert found.end() == 0
    assert not any("Traceback" in line or "failed" in line for line in found.lines), found.lines


@pytest.mark.parametrize("name", CASES)
def test_no_request_makes_it_fail_or_tell(server: Any, name: str) -> None:
    data, status = CASES[name]
    answer = told(server.port, data)
    assert answer.startswith(b"HTTP/1.1 " + status.encode()), answer[:300]
    assert b"Traceback" not in answer
    assert b"/validator/" not in answer
    assert TOKEN.encode() not in answer
    assert b"\r\nset-cookie" not in answer.lower()


def test_requests_in_one_go_are_answered_in_their_order(server: Any) -> None:
    first = OK[:-1] + b',"id":"first"}'
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as caller:
        caller.sendall(post(first) + post(b"{") + infer() + post(OK, b"connection: close"))
        found = b""
        while got := caller.recv(65536):
            found += got
    assert [part[:3] for part in found.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400", b"200", b"200"]
    assert found.count(b'"first"') == 1


def test_names_stay_within_their_labels(server: Any) -> None:
    text = httpx.get(f"{server.url}/metrics").text
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    assert all(one.name.startswith("preflight_") for one in samples)
    assert len({one.labels["feature"] for one in samples if "feature" in one.labels}) == len(NAMES)
