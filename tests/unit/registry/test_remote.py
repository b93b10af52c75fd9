"""A registry: right, or refused with nothing half-done. Tokens go where they belong, and nowhere else."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.unit.registry.artifacts import artifact, version
from tests.unit.registry.peer import PLACE, Drip, Peer, error
from validator.artifact.read import read_artifact
from validator.errors import UsageError
from validator.registry.errors import DamagedError, NotThereError, OvertakenError, RegistryError
from validator.registry.fetching import fetched
from validator.registry.image import image_of
from validator.registry.listing import listing
from validator.registry.reference import parse
from validator.registry.remote.credentials import Credentials, credentials_for, from_flags
from validator.registry.remote.repository import RemoteRepository
from validator.registry.remote.tokens import read_challenges, scope_for
from validator.registry.store import Image

ANNA = Credentials(username="anna", password="secret", origin="a test")


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return image_of(read_artifact(artifact(tmp_path / "made")))


def put(repository: RemoteRepository, image: Image, *tags: str) -> None:
    repository.add_blobs(image)
    for tag in tags:
        repository.tag(image.manifest, tag)


def filled(image: Image, **options: object) -> Peer:
    peer = Peer(**options)  # type: ignore[arg-type]
    put(peer.repository(credentials=ANNA), image, version(1), "champion")
    peer.requests.clear()
    return peer


@pytest.mark.parametrize("auth", ["none", "basic", "token"])
def test_a_round_trip(image: Image, tmp_path: Path, auth: str) -> None:
    peer = Peer(auth=auth)
    repository = peer.repository(credentials=ANNA)
    with pytest.raises(NotThereError, match="there is no repository"):
        repository.tags()
    put(repository, image, version(1))
    assert repository.tags() == [version(1)]
    assert repository.find("champion") is None
    with fetched(repository, image.manifest.digest) as found:
        assert found.read().manifest["version"] == version(1)
        assert found.reference == f"{PLACE}@{image.manifest.digest}"
    puts = peer.paths("PUT")
    assert puts[-1].endswith(f"/manifests/{version(1)}"), "the manifest is last"
    peer.requests.clear()
    put(repository, image, "champion")
    assert [path for path in peer.paths("PUT") if "blobs" in path] == [], "what is there is not sent again"


def test_the_secret_goes_to_its_own_host_and_realm_alone(image: Image) -> None:
    peer = filled(image, auth="token")
    layer = image.manifest.layers[0].digest

    def elsewhere(request: httpx.Request) -> httpx.Response | None:
        if request.url.host == "store.example":
            return httpx.Response(200, content=peer.blobs[layer])
        if request.url.path.endswith(layer) and request.headers.get("authorization"):
            return httpx.Response(307, headers={"location": "https://store.example/blob?signature=x"})
        return None

    peer.before = elsewhere
    with fetched(peer.repository(credentials=ANNA), "champion"):
        pass
    by_host: dict[str, set[str]] = {}
    for request in peer.requests:
        by_host.setdefault(request.url.host, set()).add(
            request.headers.get("authorization", "none").split()[0]
        )
    assert by_host["store.example"] == {"none"}
    assert by_host["auth.example"] == {"Basic"}
    assert by_host["registry.example"] == {"none", "Bearer"}


@pytest.mark.parametrize(
    "location", ["http://registry.example/x", "http://store.example/x", "ftp://store.example/x"]
)
def test_no_redirect_leaves_encryption(image: Image, location: str) -> None:
    peer = filled(image)
    peer.before = lambda request: (
        httpx.Response(302, headers={"location": location}) if "blobs" in request.url.path else None
    )
    with pytest.raises(RegistryError, match="not encrypted"), fetched(peer.repository(), "champion"):
        pass
    assert {request.url.scheme for request in peer.requests} == {"https"}


def test_redirects_in_circles_end(image: Image) -> None:
    peer = filled(image)
    peer.before = lambda request: httpx.Response(302, headers={"location": str(request.url)})
    with pytest.raises(RegistryError, match="in circles"):
        peer.repository().manifest("champion")


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/u",
        "http://registry.example/u",
        "https://registry.example:8443/u",
        "//evil.example/u",
    ],
)
def test_an_upload_is_sent_to_no_other_server(image: Image, location: str) -> None:
    peer = Peer(auth="basic")
    peer.lie = lambda request, answer: (
        httpx.Response(202, headers={"location": location}) if answer.status_code == 202 else answer
    )
    with pytest.raises(RegistryError, match="another server or protocol"):
        put(peer.repository(credentials=ANNA), image, "champion")
    assert {request.url.host for request in peer.requests} == {"registry.example"}
    assert not peer.tags


def test_a_realm_without_encryption_gets_no_secret(image: Image) -> None:
    peer = Peer()
    challenge = 'Bearer realm="http://auth.example/token",service="x"'
    peer.before = lambda _request: error(401, "UNAUTHORIZED", {"www-authenticate": challenge})
    with pytest.raises(RegistryError, match="no https address"):
        peer.repository(credentials=ANNA).tags()
    assert {request.url.host for request in peer.requests} == {"registry.example"}


@pytest.mark.parametrize("auth", ["basic", "token"])
def test_wrong_credentials_are_told_of_once(image: Image, auth: str) -> None:
    peer = Peer(auth=auth, password="another")
    with pytest.raises(RegistryError, match="status 401") as caught:
        put(peer.repository(credentials=ANNA), image, "champion")
    assert "a test" in caught.value.hint
    assert "secret" not in str(caught.value)
    assert len(peer.requests) <= 6
    assert not peer.blobs
    with pytest.raises(RegistryError) as caught:
        put(peer.repository(), image, "champion")
    assert "docker login registry.example" in caught.value.hint


def test_whoever_may_only_read_is_given_a_token_for_that(image: Image) -> None:
    peer = filled(image, auth="token")
    with fetched(peer.repository(), "champion") as found:
        assert found.digest == image.manifest.digest
    with pytest.raises(RegistryError, match="status 401"):
        peer.repository().tag(image.manifest, "candidate")
    assert "candidate" not in peer.tags


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_trouble_that_passes_is_waited_for(image: Image, status: int) -> None:
    peer = Peer()
    left = {"GET": 2, "HEAD": 2, "POST": 2, "PUT": 2}

    def busy(request: httpx.Request) -> httpx.Response | None:
        left[request.method] -= 1
        return error(status, "TOOMANYREQUESTS", {"retry-after": "7"}) if left[request.method] >= 0 else None

    peer.before = busy
    repository = peer.repository()
    put(repository, image, "champion")
    assert repository.manifest("champion").digest == image.manifest.digest
    assert set(peer.waits) == {7.0}


def test_trouble_that_stays_is_told_within_the_deadline(image: Image) -> None:
    peer = Peer()
    peer.before = lambda _request: error(503, "UNAVAILABLE")
    with pytest.raises(RegistryError, match="status 503"):
        put(peer.repository(), image, "champion")
    assert 4 < len(peer.requests) < 10
    assert peer.time < 600
    peer = Peer()
    peer.before = lambda _request: error(429, "TOOMANYREQUESTS", {"retry-after": "100000"})
    with pytest.raises(RegistryError, match="status 429"):
        peer.repository().tags()
    assert len(peer.requests) == 1
    assert not peer.waits


def test_a_connection_that_breaks_is_tried_again_and_leaves_nothing(image: Image) -> None:
    peer = Peer()

    def broken(request: httpx.Request) -> httpx.Response | None:
        if request.method == "PUT" and "uploads" in request.url.path:
            raise httpx.WriteError("connection reset")
        return None

    peer.before = broken
    with pytest.raises(RegistryError, match="WriteError"):
        put(peer.repository(), image, "champion")
    assert not peer.tags
    assert not peer.manifests
    peer.before = None
    put(peer.repository(), image, "champion")
    assert peer.tags == {"champion": image.manifest.digest}


def replaced(pattern: str, make: Callable[[Peer, bytes], httpx.Response]) -> Callable[[Peer], None]:
    def install(peer: Peer) -> None:
        def lie(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
            wanted = re.search(pattern, request.url.path) and request.method == "GET"
            return make(peer, answer.read()) if wanted and answer.status_code == 200 else answer

        peer.lie = lie

    return install


BLOB, MANIFEST = r"/blobs/sha256:", r"/manifests/"
LIES = {
    "a blob cut off": replaced(BLOB, lambda _p, data: httpx.Response(200, content=data[:-1])),
    "a longer blob": replaced(BLOB, lambda _p, data: httpx.Response(200, content=data + b"x")),
    "an endless blob": replaced(BLOB, lambda p, _d: httpx.Response(200, stream=Drip(p, b"x" * 65536))),
    "another blob": replaced(BLOB, lambda _p, data: httpx.Response(200, content=b"x" * len(data))),
    "an empty blob": replaced(BLOB, lambda _p, _d: httpx.Response(200)),
    "a blob compressed on the way": replaced(
        BLOB,
        lambda _p, data: httpx.Response(
            200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(data[:9])
        ),
    ),
    "another manifest": replaced(
        MANIFEST, lambda _p, data: httpx.Response(200, content=data.replace(b'"pass"', b'"fail"'))
    ),
    "no manifest": replaced(MANIFEST, lambda _p, _d: httpx.Response(200, json={"mine": 1})),
    "an endless manifest": replaced(
        MANIFEST, lambda p, _d: httpx.Response(200, stream=Drip(p, b" " * 65536))
    ),
    "another digest of it": replaced(
        MANIFEST,
        lambda _p, data: httpx.Response(
            200, headers={"docker-content-digest": "sha256:" + "0" * 64}, content=data
        ),
    ),
}


@pytest.mark.parametrize("install", LIES.values(), ids=LIES.keys())
def test_a_liar_is_found_before_anything_is_used(
    image: Image, install: Callable[[Peer], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = filled(image)
    install(peer)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(tmp_path.iterdir())
    with pytest.raises(DamagedError), fetched(peer.repository(), image.manifest.digest):
        pytest.fail("it was handed out")
    assert set(tmp_path.iterdir()) == before
    assert len(peer.requests) < 10


def test_the_digest_of_a_tag_is_held_to_its_header(image: Image) -> None:
    peer = filled(image)
    replaced(
        MANIFEST, lambda _p, data: httpx.Response(200, headers={"docker-content-digest": "x"}, content=data)
    )(peer)
    with pytest.raises(DamagedError):
        peer.repository().manifest("champion")


def test_a_registry_that_names_no_digests_is_read_all_the_same(image: Image) -> None:
    peer = filled(image)

    def silent(_request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        answer.headers.pop("docker-content-digest", None)
        return answer

    peer.lie = silent
    assert peer.repository().find("champion") == image.manifest.digest


def test_a_drip_ends_at_the_deadline(image: Image) -> None:
    peer = filled(image)
    drip = Drip(peer, b"x", seconds=20.0)
    peer.lie = lambda request, answer: (
        httpx.Response(200, stream=drip)
        if "/blobs/" in request.url.path and request.method == "GET"
        else answer
    )
    with (
        pytest.raises(RegistryError, match="took longer than the 600 s"),
        fetched(peer.repository(), "champion"),
    ):
        pass
    assert drip.sent <= 31


def test_what_was_taken_is_looked_for(image: Image) -> None:
    peer = Peer()
    peer.before = lambda request: (
        httpx.Response(201) if request.method == "PUT" and "uploads" in request.url.path else None
    )
    with pytest.raises(DamagedError, match="does not have it"):
        put(peer.repository(), image, "champion")
    assert not peer.tags


def test_a_tag_that_somebody_else_writes_meanwhile_is_noticed(image: Image) -> None:
    peer = filled(image)

    def meanwhile(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if request.method == "PUT" and request.url.path.endswith("/champion"):
            peer.tags["champion"] = peer.tags[version(1)][:-1] + "0"
            peer.manifests[peer.tags["champion"]] = b"{}"
        return answer

    peer.lie = meanwhile
    with pytest.raises(OvertakenError):
        peer.repository().tag(image.manifest, "champion")


def test_pages_of_tags_are_followed_on_the_same_host(image: Image) -> None:
    peer = filled(image, page=2)
    for number in range(5):
        peer.tags[f"t{number}"] = image.manifest.digest
    assert len(peer.repository().tags()) == 7

    def away(_request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if "link" in answer.headers:
            answer.headers["link"] = '<https://evil.example/v2/models/churn/tags/list?last=zz>; rel="next"'
        return answer

    peer.lie, peer.requests = away, []
    peer.repository().tags()
    assert {request.url.host for request in peer.requests} == {"registry.example"}


def test_a_thousand_versions_cost_few_requests(image: Image) -> None:
    peer = filled(image, page=100)
    for number in range(2, 1001):
        peer.tags[version(number)] = image.manifest.digest
    found = listing(peer.repository())
    assert found.total == 1000
    assert len(found.versions) == 21, "the newest, and the champion"
    assert found.versions[-1].aliases == ("champion",)
    assert len(peer.requests) <= 11 + 2 + 20
    peer.requests.clear()
    assert len(listing(peer.repository(), limit=None).versions) == 1000
    assert len(peer.requests) <= 11 + 2


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"tags": 3}', b'{"name": "x"}', b"{" * 10_000],
    ids=["empty", "list", "number", "none", "deep"],
)
def test_a_list_that_is_none_is_refused(image: Image, body: bytes) -> None:
    peer = filled(image)
    peer.lie = lambda _request, _answer: httpx.Response(200, content=body)
    with pytest.raises(DamagedError, match="no list of tags"):
        peer.repository().tags()


def test_deleting_and_a_registry_that_does_not(image: Image) -> None:
    peer = filled(image)
    peer.deletion = False
    with pytest.raises(RegistryError, match="does not let anything be deleted"):
        peer.repository().delete(image.manifest.digest)
    peer.deletion = True
    peer.repository().delete(image.manifest.digest)
    peer.repository().delete(image.manifest.digest)
    assert not peer.tags


def test_what_a_registry_says_is_one_short_line(image: Image) -> None:
    peer = Peer()
    peer.before = lambda _request: httpx.Response(
        403, json={"errors": [{"code": "DENIED", "message": "no\n::error::x\x1b[31m" + "y" * 5000}]}
    )
    with pytest.raises(RegistryError) as caught:
        peer.repository().tags()
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("headers", "schemes"),
    [
        (['Basic realm="x"'], ["basic"]),
        (['Bearer realm="https://a/t",service="s",scope="repository:m:pull,push"'], ["bearer"]),
        (['Basic realm="x", Bearer realm="https://a/t"'], ["bearer", "basic"]),
        (['Basic realm="x"', 'Bearer realm="https://a/t"'], ["bearer", "basic"]),
        (["Negotiate"], []), (["Bearer"], []), ([""], []), (['Bearer realm="'], []), (["=" * 9000], []),
        (['Digest realm="x", qop="auth", Basic realm="y"'], ["basic"]),
    ],
)  # fmt: skip
def test_challenges(headers: list[str], schemes: list[str]) -> None:
    assert [found.scheme for found in read_challenges(headers)] == schemes


def test_a_scope_with_commas_is_one() -> None:
    (found,) = read_challenges(['bearer service="s", realm="https://a/t" ,scope="repository:m:pull,push"'])
    assert (found.realm, found.service, found.scope) == ("https://a/t", "s", "repository:m:pull,push")


def auths(**hosts: str) -> dict[str, object]:
    return {
        name.replace("_", "."): {"auth": base64.b64encode(pair.encode()).decode()}
        for name, pair in hosts.items()
    }


def written(folder: Path, document: object) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(document))
    return {"DOCKER_CONFIG": str(folder), "PATH": str(folder)}


def test_credentials_are_those_of_the_host(tmp_path: Path) -> None:
    environ = written(tmp_path, {"auths": auths(ghcr_io="anna:geheim:1", registry_example="b:c")})
    found = credentials_for("ghcr.io", environ | {"GITHUB_TOKEN": "t"})
    assert found is not None
    assert (found.username, found.password) == ("anna", "geheim:1")
    assert "geheim" not in repr(found)
    assert credentials_for("ghcr.io.evil.example", environ) is None
    assert credentials_for("evil.example", environ | {"GITHUB_TOKEN": "t"}) is None


def test_githubs_token_is_for_githubs_registry_alone(tmp_path: Path) -> None:
    environ = {"GITHUB_TOKEN": "t", "GITHUB_ACTOR": "anna", "HOME": str(tmp_path)}
    found = credentials_for("ghcr.io", environ)
    assert found is not None
    assert (found.username, found.password) == ("anna", "t")
    for host in ("docker.io", "ghcr.io:8443", "evil.ghcr.io", "ghcr.io.evil"):
        assert credentials_for(host, environ) is None


def helper(folder: Path, script: str) -> None:
    place = folder / "docker-credential-vault"
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)


def test_helpers_are_asked(tmp_path: Path) -> None:
    environ = written(tmp_path, {"credHelpers": {"registry.example": "vault"}, "credsStore": "nowhere"})
    environ["PATH"] += ":/usr/bin:/bin"
    helper(tmp_path, 'read host; echo "{\\"Username\\": \\"anna\\", \\"Secret\\": \\"for-$host\\"}"')
    found = credentials_for("registry.example", environ)
    assert found is not None
    assert (found.username, found.password) == ("anna", "for-registry.example")
    helper(tmp_path, 'echo "{\\"Username\\": \\"<token>\\", \\"Secret\\": \\"r\\"}"')
    found = credentials_for("registry.example", environ)
    assert found is not None
    assert found.identity_token == "r"
    helper(tmp_path, "echo credentials not found in native keychain; exit 1")
    assert credentials_for("registry.example", environ) is None
    for script in ("exit 3", "echo nothing", "echo '{}'", "echo '[]'"):
        helper(tmp_path, script)
        with pytest.raises(RegistryError, match="docker-credential-vault"):
            credentials_for("registry.example", environ)
    with pytest.raises(RegistryError, match="docker-credential-nowhere, which is not installed"):
        credentials_for("other.example", environ)


@pytest.mark.parametrize(
    "document",
    ["no object", {"auths": {"registry.example": {"auth": "%%%"}}}, {"credHelpers": {"registry.example": "../../x"}},
     {"auths": {"registry.example": {"auth": base64.b64encode(b"no colon").decode()}}}],
)  # fmt: skip
def test_a_broken_file_is_named(tmp_path: Path, document: object) -> None:
    with pytest.raises(RegistryError, match=r"config\.json"):
        credentials_for("registry.example", written(tmp_path, document))


def test_what_else_may_be_in_such_a_file(tmp_path: Path) -> None:
    for document in ({}, {"auths": {"registry.example": {}}}, {"auths": None, "credsStore": ""}):
        assert credentials_for("registry.example", written(tmp_path, document)) is None
    found = credentials_for(
        "registry.example", written(tmp_path, {"auths": {"registry.example": {"identitytoken": "i"}}})
    )
    assert found is not None
    assert found.identity_token == "i"


def test_a_refresh_token_is_exchanged(image: Image) -> None:
    peer = filled(image, auth="token")

    def exchange(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST" and request.url.path == "/token":
            form = dict(httpx.QueryParams(request.content.decode()))
            assert form["grant_type"] == "refresh_token"
            assert form["refresh_token"] == "long-lived"
            return httpx.Response(200, json={"access_token": "t-pull,push"})
        return None

    peer.before = exchange
    repository = peer.repository(credentials=Credentials(identity_token="long-lived"))
    repository.tag(image.manifest, "candidate")
    assert peer.tags["candidate"] == image.manifest.digest


def test_flags_for_credentials(tmp_path: Path) -> None:
    place = tmp_path / "secret"
    place.write_text("geheim\n")
    found = from_flags("anna", str(place), None)
    assert found is not None
    assert (found.username, found.password) == ("anna", "geheim")
    bearer = from_flags(None, None, str(place))
    assert bearer is not None
    assert bearer.bearer == "geheim"
    assert from_flags(None, None, None) is None
    wrong = [
        ("anna", None, None),
        (None, str(place), None),
        ("a:b", str(place), None),
        ("a", str(place), str(place)),
        ("anna", str(tmp_path / "none"), None),
    ]
    for given in wrong:
        with pytest.raises(UsageError):
            from_flags(*given)
    place.write_text("two\nlines")
    with pytest.raises(UsageError, match="holds no secret"):
        from_flags("anna", str(place), None)


def test_reading_begins_anew_with_each_try(image: Image) -> None:
    peer = filled(image)
    left = 2

    def cut(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        nonlocal left
        if "/blobs/" in request.url.path and request.method == "GET" and left:
            left -= 1
            return httpx.Response(200, stream=Broken(answer.read()[:20]))
        return answer

    peer.lie = cut
    into = io.BytesIO()
    peer.repository().read(image.manifest.layers[0], into)
    assert into.getvalue() == image.blobs[image.manifest.layers[0].digest]


class Parts(httpx.SyncByteStream):
    def __init__(self, *parts: bytes) -> None:
        self._parts = parts

    def __iter__(self):
        yield from self._parts


class Broken(httpx.SyncByteStream):
    def __init__(self, part: bytes) -> None:
        self._part = part

    def __iter__(self):
        yield self._part
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


PLACES = [
    "http://[",
    "https://a:99999999/",
    "https://registry.example/\x7f",
    "https://☃.example/",
    "x" * 100_000,
    "//",
]


def answering(status: int, header: bytes, value: str) -> Callable[[Peer], None]:
    def lie(peer: Peer) -> None:
        peer.lie = lambda _request, _answer: httpx.Response(
            status, headers=[(header, value.encode())], json={"tags": ["a"]}
        )

    return lie


@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_address_is_refused(image: Image, place: str) -> None:
    """As a redirect, an upload's location, the next page, or a realm: an error of ours, and never another one."""
    for status, header, value in (
        (307, b"location", place),
        (200, b"link", f'<{place}>; rel="next"'),
        (401, b"www-authenticate", f'Bearer realm="{place}"'),
    ):
        peer = filled(image)
        answering(status, header, value)(peer)
        with pytest.raises(RegistryError):
            peer.repository().tags()
    if place != "//":
        answering(202, b"location", place)(peer)
        with pytest.raises(RegistryError):
            peer.repository()._upload("sha256:" + "0" * 64, b"")


def test_pages_in_circles_end(image: Image) -> None:
    peer = filled(image)
    answering(200, b"link", '</v2/models/churn/tags/list?n=1000>; rel="next"')(peer)
    with pytest.raises(DamagedError, match="in circles"):
        peer.repository().tags()
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("asked", "writes", "scope"),
    [
        ("repository:models/churn:pull", False, "repository:models/churn:pull"),
        ("repository:models/churn:pull", True, "repository:models/churn:pull,push"),
        ("repository:models/churn:delete", True, "repository:models/churn:delete,pull,push"),
        ("repository:user/image:pull", True, "repository:models/churn:pull,push"),
        ("repository:team-a/models/churn:pull", False, "repository:team-a/models/churn:pull"),
        ("", False, "repository:models/churn:pull"),
        ("registry:catalog:*", False, "repository:models/churn:pull"),
        ("repository:a:pull repository:b:pull", True, "repository:models/churn:pull,push"),
    ],
)
def test_scopes(asked: str, writes: bool, scope: str) -> None:
    actions = frozenset(("pull", "push") if writes else ("pull",))
    assert scope_for("models/churn", actions, asked) == scope


def test_a_registry_that_names_no_repository_in_its_challenge(image: Image) -> None:
    """As ghcr.io does; and it answers a write with a reader's token by 403, not by another challenge."""
    peer = Peer(auth="token")
    refuse = peer._refused

    def as_ghcr(request: httpx.Request) -> httpx.Response | None:
        refused = refuse(request)
        if refused is None:
            return None
        if "authorization" in request.headers:
            return error(403, "DENIED")
        challenge = refused.headers["www-authenticate"].replace("models/churn:pull,push", "user/image:pull")
        return error(
            401, "UNAUTHORIZED", {"www-authenticate": challenge.replace("models/churn", "user/image")}
        )

    peer._refused = as_ghcr  # type: ignore[method-assign]
    effects = peer.effects()
    with RemoteRepository(parse(PLACE), credentials=ANNA, effects=effects, writes=True) as repository:
        assert repository.find(version(1)) is None
        put(repository, image, version(1))
    with RemoteRepository(parse(PLACE), effects=effects) as anybody:
        assert anybody.find(version(1)) == image.manifest.digest
        with pytest.raises(RegistryError, match="DENIED"):
            put(anybody, image, "champion")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "ftp://proxy.example"),
        ("ALL_PROXY", "socks5://127.0.0.1:1"),
        ("SSL_CERT_FILE", "/etc/hostname"),
        ("SSL_CERT_FILE", "/nowhere/at/all.pem"),
        ("NO_PROXY", "[::"),
    ],
)
def test_an_environment_that_cannot_be_used_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv(name, value)
    with pytest.raises(RegistryError, match="cannot be asked by what the environment says"):
        RemoteRepository(parse(PLACE))


def test_a_registry_on_this_machine_is_asked_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "ftp://proxy.example")
    for host in ("127.0.0.1:5000", "[::1]:5000", "localhost"):
        with RemoteRepository(parse(f"oci://{host}/x")), RemoteRepository(parse(f"oci+https://{host}/x")):
            pass
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/hostname")
    with pytest.raises(RegistryError, match="SSL_CERT_FILE"):
        RemoteRepository(parse("oci+https://localhost/x"))


@pytest.mark.parametrize(
    ("key", "repository", "found"),
    [
        ("reg.example", "a/b", True),
        ("https://reg.example", "a/b", True),
        ("https://reg.example/v1/", "a/b", True),
        ("http://reg.example/v2/", "a/b", True),
        ("reg.example/a", "a/b", True),
        ("reg.example/a/b", "a/b", True),
        ("reg.example/a/c", "a/b", False),
        ("reg.example/ab", "a/b", False),
        ("reg.example.evil", "a/b", False),
        ("https://reg.example.evil/", "a/b", False),
        ("https://reg.example@evil/", "a/b", False),
        ("reg.example:443", "a/b", False),
    ],
)
def test_keys_of_a_credentials_file(tmp_path: Path, key: str, repository: str, found: bool) -> None:
    environ = written(tmp_path, {"auths": auths(**{key: "anna:geheim"})})
    assert (credentials_for("reg.example", environ, repository=repository) is not None) == found


def test_the_most_exact_key_comes_first(tmp_path: Path) -> None:
    keys = {
        "https://reg.example/v1/": "old",
        "reg.example": "all",
        "reg.example/a": "team",
        "reg.example/b": "other",
    }
    environ = written(tmp_path, {"auths": auths(**{key: f"{name}:x" for key, name in keys.items()})})
    for repository, name in (("a/churn", "team"), ("c/churn", "all"), ("", "all")):
        known = credentials_for("reg.example", environ, repository=repository)
        assert known is not None
        assert known.username == name
