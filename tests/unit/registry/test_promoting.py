"""Aliases: what may be promoted, one promoter at a time, and a history that says what was what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.registry.artifacts import artifact, version
from tests.unit.registry.peer import Peer
from validator.artifact.read import read_artifact
from validator.errors import UsageError
from validator.registry.claiming import Clock
from validator.registry.errors import NotThereError, OvertakenError, RefusedVersionError, RegistryError
from validator.registry.history import Entry, record_tags, records, told
from validator.registry.image import image_of
from validator.registry.layout import LayoutRepository
from validator.registry.listing import listing
from validator.registry.promoting import Promoted, Why, promote, rollback
from validator.registry.pruning import plan, remove
from validator.registry.pushing import push
from validator.registry.store import Repository


@dataclass
class Site:
    """A repository with four versions, by the one or the other kind of place."""

    open: Callable[[], Repository]
    clock: Clock
    digests: dict[str, str]
    peer: Peer | None = None

    def promote(self, number: int, by: str = "anna", **options: object) -> Promoted:
        return promote(self.open(), version(number), Why(by=by), clock=self.clock, **options)  # type: ignore[arg-type]

    def rollback(self) -> Promoted:
        return rollback(self.open(), Why(by="anna", reason="worse"), clock=self.clock)

    def champion(self) -> str | None:
        digest = self.open().find("champion")
        return next((name for name, known in self.digests.items() if known == digest), digest)

    def history(self) -> list[Entry]:
        repository = self.open()
        tags = record_tags(repository.tags(), "champion")
        return told(records(repository, tags), repository.find("champion"))

    def outcomes(self) -> list[tuple[str, str]]:
        return [(one.record.version, one.outcome) for one in self.history()]


@pytest.fixture(params=["folder", "registry"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    peer = Peer()
    ticks = iter(range(10**6))
    start = datetime(2026, 11, 29, tzinfo=UTC)
    by_hand = Clock(
        now=lambda: start + timedelta(minutes=next(ticks)), seconds=lambda: 0.0, sleep=lambda _: None
    )
    folder = tmp_path / "registry" / "churn"
    if request.param == "folder":
        made = Site(open=lambda: LayoutRepository(folder), clock=by_hand, digests={})
    else:
        made = Site(open=peer.repository, clock=peer.clock(), digests={}, peer=peer)
    for number in range(1, 5):
        done = push(made.open(), artifact(tmp_path / "made", number))
        made.digests[done.version] = done.digest
    return made


@pytest.fixture
def remote(tmp_path: Path) -> Site:
    peer = Peer()
    made = Site(open=peer.repository, clock=peer.clock(), digests={}, peer=peer)
    for number in range(1, 4):
        done = push(made.open(), artifact(tmp_path / "made", number))
        made.digests[done.version] = done.digest
    return made


def test_pushing_again_changes_nothing_and_other_content_is_refused(site: Site, tmp_path: Path) -> None:
    again = push(site.open(), artifact(tmp_path / "made", 1))
    assert (again.digest, again.is_new) == (site.digests[version(1)], False)
    with pytest.raises(RefusedVersionError, match="of other content"):
        push(site.open(), artifact(tmp_path / "changed", 1, tool_version="9.9.9"))
    assert site.open().find(version(1)) == site.digests[version(1)]


def test_what_did_not_pass_is_not_pushed(site: Site, tmp_path: Path) -> None:
    with pytest.raises(RefusedVersionError, match="did not pass: worse than before"):
        push(site.open(), artifact(tmp_path / "failed", 9, verdict="fail", reason="worse than before"))
    assert version(9) not in site.open().tags()


def test_a_repository_keeps_one_model(site: Site, tmp_path: Path) -> None:
    with pytest.raises(RefusedVersionError, match="keeps the versions of 'churn'"):
        push(site.open(), artifact(tmp_path / "other", 9, name="trading"))


def test_promotions_and_rollbacks_are_a_stack(site: Site) -> None:
    for number in (1, 2, 3):
        assert site.promote(number).record.version == version(number)
        assert site.champion() == version(number)
    assert site.rollback().record.version == version(2)
    assert site.rollback().record.version == version(1)
    assert site.champion() == version(1)
    with pytest.raises(UsageError, match="has named nothing before"):
        site.rollback()
    site.promote(4)
    assert site.rollback().record.version == version(1)
    assert site.outcomes() == [
        (version(1), "was"), (version(2), "was"), (version(3), "was"), (version(2), "was"), (version(1), "was"),
        (version(4), "was"), (version(1), "now"),
    ]  # fmt: skip
    entries = site.history()
    assert [one.until for one in entries[:-1]] == [one.record.at for one in entries[1:]]
    assert entries[3].record.action == "rollback"
    assert (entries[3].record.by, entries[3].record.reason) == ("anna", "worse")
    assert entries[-1].record.commit == "ab" * 20


def test_promoting_what_is_champion_writes_nothing(site: Site) -> None:
    site.promote(1)
    before = site.open().tags()
    assert not site.promote(1).is_new
    assert site.open().tags() == before


def test_the_record_comes_before_the_alias(remote: Site) -> None:
    assert remote.peer is not None
    remote.peer.requests.clear()
    done = remote.promote(1)
    puts = [path.rpartition("/")[2] for path in remote.peer.paths("PUT") if "/manifests/" in path]
    assert puts == [done.record.tag, "champion"]
    read = [request.url.path.rpartition("/")[2] for request in remote.peer.requests[-4:]]
    assert {done.record.tag, "champion"} <= set(read), "both are read back"


def test_a_promotion_that_breaks_off_changes_nothing_and_is_told(remote: Site) -> None:
    import httpx

    remote.promote(1)
    assert remote.peer is not None

    def broken(request: httpx.Request) -> httpx.Response | None:
        if request.method == "PUT" and request.url.path.endswith("/manifests/champion"):
            tries.append(remote.peer.time)
            raise httpx.ConnectError("gone")
        return None

    tries: list[float] = []
    remote.peer.before = broken
    with pytest.raises(RegistryError, match="gone"):
        remote.promote(2)
    assert tries[-1] - tries[0] < 30, "whoever waits for its end may go on after two minutes"
    remote.peer.before = None
    assert remote.champion() == version(1)
    assert remote.outcomes() == [(version(1), "now"), (version(2), "never")]
    with pytest.raises(OvertakenError, match="began to move champion"):
        remote.promote(3, by="berta")
    remote.peer.time += 121
    assert remote.promote(3).is_new
    assert remote.outcomes() == [(version(1), "was"), (version(2), "never"), (version(3), "now")]
    assert remote.rollback().record.version == version(1)


def test_of_two_at_once_one_wins_and_the_other_is_told(remote: Site) -> None:
    """The second begins when the first has claimed, and both know the same state."""
    remote.promote(3)
    assert remote.peer is not None
    peer, told_of = remote.peer, []
    second = Clock(now=lambda: peer.now() + timedelta(seconds=1), seconds=lambda: peer.time, sleep=peer.sleep)

    def meanwhile(seconds: float) -> None:
        """The first waits for rivals: the second's claim was made at the same time."""
        peer.sleep(seconds)
        with pytest.raises(OvertakenError) as caught:
            promote(stale, version(2), Why(by="berta"), clock=second)
        told_of.append(caught.value.message)

    stale = Stale(peer.repository(), peer.repository().tags())
    first = Clock(now=peer.now, seconds=lambda: peer.time, sleep=meanwhile)
    done = promote(peer.repository(), version(1), Why(by="anna"), clock=first)
    assert done.is_new
    assert remote.champion() == version(1)
    assert told_of == [f"anna moves champion to {version(1)} at the same time: nothing was promoted"]
    assert remote.outcomes() == [(version(3), "was"), (version(1), "now"), (version(2), "never")]
    assert remote.rollback().record.version == version(3)


class Stale:
    """A repository whose first lists of tags are as they were a moment ago."""

    def __init__(self, inner: Repository, tags: list[str]) -> None:
        self._inner, self._tags, self._left = inner, tags, 2

    def tags(self) -> list[str]:
        self._left -= 1
        return self._tags if self._left >= 0 else self._inner.tags()

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


def test_a_claim_that_took_too_long_wins_against_nobody(remote: Site) -> None:
    assert remote.peer is not None
    peer = remote.peer
    stale = Stale(peer.repository(), peer.repository().tags())
    early = Clock(now=lambda: peer.now() - timedelta(hours=1), seconds=slow(peer), sleep=peer.sleep)

    def meanwhile(seconds: float) -> None:
        peer.sleep(seconds)
        with pytest.raises(OvertakenError):
            promote(stale, version(2), Why(by="slow"), clock=early)  # type: ignore[arg-type]

    first = Clock(now=peer.now, seconds=lambda: peer.time, sleep=meanwhile)
    with pytest.raises(OvertakenError):
        promote(peer.repository(), version(1), Why(by="anna"), clock=first)
    assert remote.champion() is None, "its record sorts first, and it was too slow: both are told"


def slow(peer: Peer) -> Callable[[], float]:
    seen = iter((0.0, 100.0, 100.0, 100.0, 100.0))
    return lambda: next(seen)


def test_in_a_folder_whoever_looked_before_is_told(tmp_path: Path) -> None:
    folder = LayoutRepository(tmp_path / "churn")
    for number in (1, 2):
        push(folder, artifact(tmp_path / "made", number))
    stale = Stale(LayoutRepository(tmp_path / "churn"), folder.tags())
    promote(folder, version(1), Why(by="anna"))
    stale._left = 1
    with pytest.raises(OvertakenError, match="at the same time"):
        promote(stale, version(2), Why(by="berta"))  # type: ignore[arg-type]
    assert folder.find("champion") == folder.find(version(1))
    promote(folder, version(2), Why(by="carla"))
    tags = record_tags(folder.tags(), "champion")
    entries = told(records(folder, tags), folder.find("champion"))
    outcomes = [(one.record.by, one.outcome) for one in entries]
    assert outcomes == [("anna", "was"), ("berta", "never"), ("carla", "now")], (
        "the history has both, in order"
    )
    assert rollback(folder, Why(by="anna")).record.version == version(1)


def test_a_champion_that_was_moved_by_hand(site: Site) -> None:
    site.promote(1)
    site.promote(2)
    repository = site.open()
    repository.tag(repository.manifest(version(4)), "champion")
    assert site.outcomes() == [(version(1), "was"), (version(2), "unknown")]
    with pytest.raises(UsageError, match="history does not know"):
        site.rollback()
    done = site.promote(3)
    assert done.record.replaces == site.digests[version(4)]
    assert site.rollback().record.version == version(4), "back to what was found"
    with pytest.raises(UsageError, match="named nothing before"):
        site.rollback()


def test_labels_decide_nothing(site: Site, tmp_path: Path) -> None:
    failed = read_artifact(artifact(tmp_path / "failed", 8, verdict="fail", reason="bad"))
    image = image_of(failed)
    repository = site.open()
    repository.add_blobs(image)
    repository.tag(image.manifest, version(8))
    with pytest.raises(RefusedVersionError, match="did not pass"):
        site.promote(8)
    other = image_of(read_artifact(artifact(tmp_path / "other", 9, name="trading")))
    repository.add_blobs(other)
    repository.tag(other.manifest, version(9))
    site.promote(1)
    with pytest.raises(RefusedVersionError, match="this is a version of 'trading'"):
        site.promote(9)
    with pytest.raises(NotThereError):
        site.promote(77)
    with pytest.raises(UsageError, match="is no alias"):
        site.promote(1, alias="v_1")
    assert site.champion() == version(1)


def test_with_a_key_only_what_it_signed_is_promoted(site: Site, tmp_path: Path) -> None:
    pytest.importorskip("model_signing", reason="the extra `signing` is not installed")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from validator.artifact.signing import sign

    key = ec.generate_private_key(ec.SECP256R1())
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(RefusedVersionError, match="is not signed by"):
        site.promote(1, verify_key=public)
    signed = artifact(tmp_path / "signed", 9)
    sign(signed, key=private)
    assert push(site.open(), signed, verify_key=public).is_signed
    assert site.promote(9, verify_key=public).record.signed_by.startswith("sha256:")
    site.promote(1)
    with pytest.raises(RefusedVersionError):
        push(site.open(), artifact(tmp_path / "unsigned", 10), verify_key=public)


def test_pruning_keeps_what_is_named_new_or_needed(site: Site, tmp_path: Path) -> None:
    for number in range(5, 9):
        push(site.open(), artifact(tmp_path / "made", number))
    for number in (1, 2, 3):
        site.promote(number)
    repository = site.open()
    repository.tag(repository.manifest(version(4)), "somebody-relies-on-it")
    planned = plan(repository, keep=2, keep_promoted=2)
    assert sorted(tag for tag, _ in planned.remove) == [version(1), version(5), version(6)]
    assert {version(7), version(8)} <= set(repository.tags())
    young = plan(repository, keep=0, keep_promoted=0, before="2025-01-06T00:00:00Z")
    assert sorted(tag for tag, _ in young.remove) == [version(1), version(2)]
    repository.tag(repository.manifest(version(5)), "candidate")
    assert sorted(remove(site.open(), planned)) == [version(1), version(6)], "an alias came meanwhile"
    assert site.champion() == version(3)
    assert listing(site.open()).total == 6
    assert [one.record.version for one in site.history()] == [version(1), version(2), version(3)]
    assert site.rollback().record.version == version(2)
    with pytest.raises(NotThereError, match=f"no longer has {version(1)}"):
        site.rollback()


def test_a_list_tells_aliases_and_what_they_name(site: Site, tmp_path: Path) -> None:
    site.promote(1)
    site.promote(4, alias="candidate")
    found = listing(site.open(), limit=1)
    assert [(one.version, one.aliases) for one in found.versions] == [
        (version(4), ("candidate",)),
        (version(1), ("champion",)),
    ]
    assert found.total == 4
    assert found.versions[0].digest == site.digests[version(4)]
