"""Debian's `docker-registry` with skopeo as the second opinion: what is kept there is what both read."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.drill import drilled
from tests.registry.real import TOOLS, Real, registry, token_server
from tests.unit.registry.artifacts import artifact, version
from validator.answers import Effects
from validator.artifact.read import read_artifact
from validator.artifact.signing import signature_of
from validator.errors import PreflightError
from validator.registry.errors import OvertakenError, RegistryError
from validator.registry.fetching import fetched
from validator.registry.history import record_tags, records, told
from validator.registry.listing import listing
from validator.registry.opening import opened
from validator.registry.promoting import Promoted, Why, promote, rollback
from validator.registry.pruning import plan, remove
from validator.registry.pulling import pull
from validator.registry.pushing import push
from validator.registry.reference import parse

pytestmark = drilled(TOOLS)
#: bcrypt of `geheim`: the registry takes nothing else.
HASHED = "$2b$05$ykmdb9JNO/6H8Snws/yVCO.9Fuqo6fPuZFV0LWKu.aFCw1n9OlCM."


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    (tmp_path / "registry").mkdir()
    with registry(tmp_path / "registry") as one:
        yield one


def test_a_round_trip_keeps_the_digest_for_everybody(real: Real, tmp_path: Path) -> None:
    folder = artifact(tmp_path / "made")
    signature_of(folder).write_bytes(b"a signature")
    with opened(parse(real.place), {}) as repository:
        done = push(repository, folder)
        assert not push(repository, folder).is_new
    seen = real.inspect(version(1))
    assert seen["Digest"] == done.digest
    assert seen["Labels"]["org.opencontainers.image.version"] == version(1)
    source, here = f"docker://{real.host}/models/churn:{version(1)}", f"oci:{tmp_path}/copy:x"
    real.skopeo("copy", "-q", "--src-tls-verify=false", source, here)
    real.skopeo("copy", "-q", "--dest-tls-verify=false", here, f"docker://{real.host}/copied/churn:back")
    for place in (f"{tmp_path}/copy", f"oci://{real.host}/copied/churn"):
        with opened(parse(place), {}) as copied, fetched(copied, done.digest) as found:
            assert found.read().files == read_artifact(folder).files
            assert signature_of(found.folder).read_bytes() == b"a signature"


def test_a_layout_that_we_made_is_taken_by_skopeo_and_back(real: Real, tmp_path: Path) -> None:
    with opened(parse(str(tmp_path / "layout")), {}) as repository:
        done = push(repository, artifact(tmp_path / "made"))
    source, there = f"oci:{tmp_path}/layout:{version(1)}", f"docker://{real.host}/models/churn:{version(1)}"
    real.skopeo("copy", "-q", "--dest-tls-verify=false", source, there)
    with opened(parse(real.place), {}) as repository:
        assert pull(repository, version(1), tmp_path / "got").digest == done.digest


def test_promote_rollback_history_and_prune(real: Real, tmp_path: Path) -> None:
    with opened(parse(real.place), {}) as repository:
        for number in (1, 2, 3):
            push(repository, artifact(tmp_path / "made", number))
        promote(repository, version(1), Why(by="anna", reason="first"))
        promote(repository, version(2), Why(by="anna"))
        assert real.inspect("champion")["Digest"] == repository.find(version(2))
        rollback(repository, Why(by="berta", reason="worse"))
        assert real.inspect("champion")["Digest"] == repository.find(version(1))
        tags = record_tags(repository.tags(), "champion")
        entries = told(records(repository, tags), repository.find("champion"))
        outcomes = [(one.record.version, one.outcome) for one in entries]
        assert outcomes == [(version(1), "was"), (version(2), "was"), (version(1), "now")]
        assert real.inspect(tags[0])["Labels"]["io.github.model-preflight.by"] == "anna"
        gone = remove(repository, plan(repository, keep=0, keep_promoted=0))
        assert sorted(gone) == [version(2), version(3)]
        assert listing(repository).total == 1
        assert real.inspect("champion")["Digest"] == repository.find(version(1))


def test_of_two_promoters_at_once_one_wins_and_the_other_is_told(real: Real, tmp_path: Path) -> None:
    with opened(parse(real.place), {}) as repository:
        for number in (1, 2, 3):
            push(repository, artifact(tmp_path / "made", number))
        promote(repository, version(3), Why(by="carla"))
    ended: dict[str, Promoted | PreflightError] = {}
    ready = threading.Barrier(2)

    def one(by: str, wanted: str) -> None:
        with opened(parse(real.place), {}) as mine:
            ready.wait()
            try:
                ended[by] = promote(mine, wanted, Why(by=by))
            except PreflightError as error:
                ended[by] = error

    pairs = [("anna", version(1)), ("berta", version(2))]
    threads = [threading.Thread(target=one, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [by for by, end in ended.items() if isinstance(end, Promoted)]
    lost = [by for by, end in ended.items() if isinstance(end, OvertakenError)]
    assert (len(won), len(lost)) == (1, 1), ended
    with opened(parse(real.place), {}) as repository:
        tags = record_tags(repository.tags(), "champion")
        entries = told(records(repository, tags), repository.find("champion"))
    assert next(one.record.by for one in entries if one.outcome == "now") == won[0]
    assert [one.record.by for one in entries if one.outcome == "never"] == lost, "the history has both"


def logged_in(folder: Path, host: str, password: str) -> dict[str, str]:
    """What `docker login` leaves."""
    auth = base64.b64encode(f"anna:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return {"DOCKER_CONFIG": str(folder)}


def test_basic_authentication(tmp_path: Path) -> None:
    (tmp_path / "htpasswd").write_text(f"anna:{HASHED}\n")
    auth = {"htpasswd": {"realm": "tests", "path": str(tmp_path / "htpasswd")}}
    with registry(tmp_path, auth) as real:
        for environ in ({}, logged_in(tmp_path, real.host, "falsch")):
            with opened(parse(real.place), environ) as repository, pytest.raises(RegistryError, match="401"):
                push(repository, artifact(tmp_path / "made"))
        with opened(parse(real.place), logged_in(tmp_path, real.host, "geheim")) as repository:
            done = push(repository, artifact(tmp_path / "made"))
        assert real.inspect(version(1), "--creds", "anna:geheim")["Digest"] == done.digest


def test_tokens(tmp_path: Path) -> None:
    with token_server(tmp_path, "geheim") as auth, registry(tmp_path, auth) as real:
        with opened(parse(real.place), {}) as repository, pytest.raises(RegistryError, match="status 401"):
            push(repository, artifact(tmp_path / "made"))
        with opened(parse(real.place), logged_in(tmp_path, real.host, "geheim")) as repository:
            done = push(repository, artifact(tmp_path / "made"))
            promote(repository, version(1), Why(by="anna"))
        with opened(parse(real.place), {}) as anybody, fetched(anybody, "champion") as found:
            assert found.digest == done.digest


class Counting(httpx.HTTPTransport):
    count = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        return super().handle_request(request)


def test_a_thousand_versions(real: Real, tmp_path: Path) -> None:
    with opened(parse(real.place), {}) as repository:
        push(repository, artifact(tmp_path / "made", 1))
        manifest = repository.manifest(version(1))
        for number in range(2, 1001):
            repository.tag(manifest, version(number))
        promote(repository, version(1), Why(by="anna"))
    counting = Counting()
    with opened(parse(real.place), {}, effects=Effects(transport=counting)) as repository:
        found = listing(repository)
    assert found.total == 1000
    assert found.versions[-1].version == version(1)
    assert counting.count <= 25


@pytest.mark.parametrize("place", ["folder", "registry"])
def test_killed_before_any_step_a_command_leaves_what_was_there_or_what_was_wanted(
    real: Real, tmp_path: Path, place: str
) -> None:
    """And it goes on from there: see `killed`."""
    made = [str(artifact(tmp_path / "made", number)) for number in (1, 2, 3)]
    where = real.place if place == "registry" else str(tmp_path / "layout")
    program = [sys.executable, "-m", "tests.registry.killed", where, *made]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert min(json.loads(done.stdout).values()) >= 4
