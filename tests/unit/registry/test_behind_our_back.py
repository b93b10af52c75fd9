"""Repositories that others write to as well: their images, their tags, their clocks, and what they removed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.unit.registry.artifacts import artifact, version
from tests.unit.registry.peer import Peer, digest_of
from validator.registry.claiming import RESPECT_S
from validator.registry.errors import NotThereError, OvertakenError
from validator.registry.history import image_of_record, missing, record_tags, records
from validator.registry.listing import listing, shown
from validator.registry.promoting import Promoted, Why, promote, rollback
from validator.registry.pruning import plan, remove
from validator.registry.pushing import push

INDEX = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}'


@pytest.fixture
def peer(tmp_path: Path) -> Peer:
    made = Peer()
    for number in (1, 2, 3):
        push(made.repository(), artifact(tmp_path / "made", number))
    return made


def move(peer: Peer, number: int, by: str = "anna") -> Promoted:
    return promote(peer.repository(), version(number), Why(by=by), clock=peer.clock())


def back(peer: Peer) -> Promoted:
    return rollback(peer.repository(), Why(by="berta"), clock=peer.clock())


def tag_index(peer: Peer, tag: str, *digests: str) -> None:
    named = b",".join(json.dumps({"digest": digest}).encode() for digest in digests)
    content = INDEX % named
    peer.manifests[digest_of(content)] = content
    peer.tags[tag] = digest_of(content)


def champion(peer: Peer) -> str:
    return next(tag for tag, digest in peer.tags.items() if digest == peer.tags["champion"] and tag[0] == "v")


FOREIGN = [
    "latest",
    "candidate",
    f"sha256-{0:064}",
    f"sha256-{0:064}.sig",
    "champion.20250101T000000000000Z.deadbeef",
]


@pytest.mark.parametrize("tag", FOREIGN)
def test_what_other_tools_push_stops_nothing(peer: Peer, tmp_path: Path, tag: str) -> None:
    tag_index(peer, tag)
    move(peer, 1)
    tag_index(peer, tag)
    move(peer, 2)
    assert back(peer).record.version == version(1)
    found = listing(peer.repository())
    assert found.total == 3
    assert found.unknown == ((tag,) if tag in ("latest", "candidate") else ())
    assert shown(peer.repository(), version(1)).aliases == ("champion",)
    assert push(peer.repository(), artifact(tmp_path / "made", 4)).is_new
    assert plan(peer.repository(), keep=1, keep_promoted=1).remove == tuple(
        (version(number), peer.tags[version(number)]) for number in (3, 2)
    )


def test_what_an_index_names_under_an_alias_is_not_removed(peer: Peer) -> None:
    tag_index(peer, "fleet", peer.tags[version(2)])
    repository = peer.repository()
    planned = plan(repository, keep=0, keep_promoted=0)
    assert [one for one, _ in planned.remove] == [version(3), version(1)]
    tag_index(peer, "fleet", peer.tags[version(3)])
    assert remove(repository, planned) == [version(1)], "looked at once more just before"


@pytest.mark.parametrize(
    "when",
    ["99991231T235959999999", "99999999T999999999999", "00000000T000000000000", "20270230T000000000000"],
)
def test_a_moment_in_which_nothing_was_promoted_is_no_records(peer: Peer, when: str) -> None:
    peer.tags[f"champion.{when}Z.deadbeef"] = peer.tags[version(1)]
    move(peer, 1)
    move(peer, 2)
    assert back(peer).record.version == version(1)


def test_records_that_were_removed_or_replaced_are_told(peer: Peer) -> None:
    for number in (1, 2, 3):
        move(peer, number)
    tags = record_tags(peer.tags, "champion")
    del peer.tags[tags[0]]
    peer.tags[tags[1]] = peer.tags[tags[2]]
    found = records(peer.repository(), tags[1:])
    assert [record.version for record in found] == [version(3)]
    assert missing(found, tags[1:], tags[1:]) == (tags[1],), (
        "what the first of them was, nobody knows any more"
    )
    assert missing(found, tags[2:], tags[2:]) == (tags[1],)


def test_a_rollback_over_a_gap_goes_where_the_record_says_and_not_further(peer: Peer) -> None:
    for number in (1, 2, 3):
        move(peer, number)
    gone = record_tags(peer.tags, "champion")[1]
    del peer.tags[gone]
    assert back(peer).record.version == version(2), "which the third record replaced"
    with pytest.raises(NotThereError, match=f"the record {gone} is gone"):
        back(peer)
    assert champion(peer) == version(2)


def test_a_record_under_another_ones_tag_is_none(peer: Peer) -> None:
    move(peer, 1)
    move(peer, 2)
    first, second = record_tags(peer.tags, "champion")
    peer.tags[first] = peer.tags[second]
    assert back(peer).record.version == version(1), "by what the second record replaced"


def test_the_registrys_own_clock_counts(peer: Peer) -> None:
    """Two promoters with clocks of their own: records are in the order in which they came to be."""
    real = datetime(2026, 11, 29, 12, tzinfo=UTC)

    def dated(_request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        moment = real + timedelta(seconds=peer.time)
        answer.headers["date"] = moment.strftime("%a, %d %b %Y %H:%M:%S GMT")
        return answer

    peer.lie = dated
    record = move(peer, 1).record
    assert abs(record.at - real) < timedelta(seconds=60), "not the promoter's own, twelve hours behind"
    for header in ("Sun, 06 Nov 9999 08:49:37 GMT", "yesterday", ""):

        def odd(_request: httpx.Request, answer: httpx.Response, header: str = header) -> httpx.Response:
            answer.headers["date"] = header
            return answer

        peer.lie = odd
        assert peer.repository().find("champion")
        assert peer.repository().now is None


def unfinished(peer: Peer, at: datetime) -> str:
    """A claim by a clock of its own, whose author stopped there; its tag."""
    done = move(peer, 1).record
    record = replace(done, at=at, digest=peer.tags[version(2)], version=version(2), replaces=done.digest)
    image = image_of_record(replace(record, previous=done.tag, by="carla"))
    repository = peer.repository()
    repository.add_blobs(image)
    repository.tag(image.manifest, record.tag)
    return record.tag


def test_an_unfinished_promotion_of_the_future_blocks_nobody_for_ever(peer: Peer) -> None:
    unfinished(peer, peer.now() + timedelta(days=400))
    peer.waits.clear()
    record = move(peer, 3).record
    assert peer.waits[0] == RESPECT_S
    assert champion(peer) == version(3)
    assert record.tag == record_tags(peer.tags, "champion")[-1]
    assert back(peer).record.version == version(1)


def test_an_unfinished_promotion_of_the_future_may_still_be_at_work(peer: Peer) -> None:
    unfinished(peer, peer.now() + timedelta(days=400))
    sleep = peer.sleep

    def meanwhile(seconds: float) -> None:
        sleep(seconds)
        peer.tags["champion"] = peer.tags[version(2)]

    clock = replace(peer.clock(), sleep=meanwhile)
    with pytest.raises(OvertakenError):
        promote(peer.repository(), version(3), Why(by="anna"), clock=clock)
    assert champion(peer) == version(2)


def test_a_tag_that_is_none_is_asked_for_nowhere(peer: Peer) -> None:
    ask: Callable[[str], object] = lambda wanted: promote(  # noqa: E731
        peer.repository(), wanted, Why(by="anna"), clock=peer.clock()
    )
    for wanted in ("../../x", "v?x#y", "sha256:abc", "", "a/b", "%2e%2e", "x" * 200):
        peer.requests.clear()
        with pytest.raises(NotThereError, match="has no"):
            ask(wanted)
        assert {path.rpartition("/")[2] for path in peer.paths("GET") + peer.paths("HEAD")} <= {
            "champion",
            "list",
        }
