"""What an alias has named: records of promotions and rollbacks, each under a tag of its own that never moves.

A record is a small image, so that any registry keeps it: its manifest's annotations say what was done. Its tag is
`ALIAS.<UTC>.<first digits of the version's digest>`, and tags sort by time. It is written before the alias is moved,
so that no move is without a record; whether a record took effect is told by the next one, which says what it found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Literal

from validator.registry.errors import DamagedError, NotThereError
from validator.registry.image import OURS, VERSION, build
from validator.registry.store import PROMOTION_TYPE, Image, Manifest, Repository, canonical, is_digest

Action = Literal["promote", "rollback"]
Outcome = Literal["now", "was", "never", "unknown"]
ALIAS_PATTERN = re.compile(r"[a-z][a-z0-9-]{0,39}")
RECORD_PATTERN = re.compile(r"([a-z][a-z0-9-]{0,39})\.([0-9]{8}T[0-9]{12}Z)\.[0-9a-f]{8}")
# What cosign and ORAS keep beside an image, under its digest.
_REFERRER = re.compile(r"sha256-[0-9a-f]{64}(\.[a-z0-9]{1,20})?")
_TIME = "%Y%m%dT%H%M%S%fZ"
_LONGEST = 1000
_NEVER = 9000


@dataclass(frozen=True, kw_only=True)
class Record:
    """One promotion or rollback, as it was begun.

    `digest` is the version's. `replaces` is the digest that the alias had, empty where it had none; `previous` the
    tag of the newest record that was there; `below` the tag of the record that a rollback goes back to.
    """

    alias: str
    action: Action
    at: datetime
    digest: str
    version: str
    replaces: str = ""
    previous: str = ""
    below: str = ""
    by: str = ""
    reason: str = ""
    url: str = ""
    commit: str = ""
    signed_by: str = ""

    @property
    def tag(self) -> str:
        return f"{self.alias}.{self.at:{_TIME}}.{self.digest.removeprefix('sha256:')[:8]}"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A record, and what became of it.

    `outcome` is `now` for what the alias names, `was` for what it named once, and `never` where it did not come to
    that: somebody else was faster, or the promotion broke off. It is `unknown` where the alias was then moved without
    a record. `until` is when it was replaced.
    """

    record: Record
    outcome: Outcome
    until: datetime | None = None


def image_of_record(record: Record) -> Image:
    """The record as an image."""
    values = {name: text for name, text in asdict(record).items() if isinstance(text, str) and text}
    values["at"] = f"{record.at:{_TIME}}"
    labels = {f"{OURS}.{name.replace('_', '-')}": text for name, text in values.items()}
    created = record.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    files = {"promotion.json": canonical(json.loads(json.dumps(values))) + b"\n"}
    return build(files, labels | {VERSION: record.version}, kind=PROMOTION_TYPE, created=created)


def read_record(manifest: Manifest) -> Record | None:
    """The record in a manifest; None where it is none, whoever wrote it."""
    notes = manifest.annotations
    values = {
        field.name: notes.get(f"{OURS}.{field.name.replace('_', '-')}", "")[:_LONGEST]
        for field in fields(Record)
    }
    try:
        at = datetime.strptime(values.pop("at"), _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    if values["action"] not in ("promote", "rollback") or not is_digest(values["digest"]):
        return None
    if not ALIAS_PATTERN.fullmatch(values["alias"]):
        return None
    return Record(at=at, **values)  # type: ignore[arg-type]


def record_tags(tags: Sequence[str], alias: str) -> list[str]:
    """The tags of an alias's records, the oldest first."""
    return sorted(
        tag
        for tag in tags
        if (match := RECORD_PATTERN.fullmatch(tag)) is not None
        and match[1] == alias
        and time_of(tag) is not None
    )


def time_of(tag: str) -> datetime | None:
    """The moment in a record's tag; None where it is none in which anything can have been promoted."""
    try:
        moment = datetime.strptime(tag.split(".")[1], _TIME).replace(tzinfo=UTC)
    except (ValueError, IndexError):
        return None
    return moment if moment.year < _NEVER else None


def is_alias(tag: str, version: re.Pattern[str]) -> bool:
    """Whether somebody may rely on a tag: it is no version's, no record's, and no signature's of other tools."""
    return not any(one.fullmatch(tag) for one in (version, RECORD_PATTERN, _REFERRER))


def record_at(repository: Repository, tag: str) -> Record | None:
    """The record under a tag; None where it is gone, or what is there is not the record that was written there."""
    try:
        record = read_record(repository.manifest(tag))
    except (NotThereError, DamagedError):
        return None
    return record if record is not None and record.tag == tag else None


def records(repository: Repository, tags: Sequence[str]) -> list[Record]:
    """The records under these tags, in their order. What is none is left out: see `missing`."""
    return [record for tag in tags if (record := record_at(repository, tag)) is not None]


def missing(found: Sequence[Record], read: Sequence[str], listed: Sequence[str]) -> tuple[str, ...]:
    """The tags of records that are gone, or no longer what was written.

    `found` are the records under the tags that were `read`, of all that are `listed`. A record names the one before
    it, so one that was removed is known by its tag.
    """
    before = {record.previous for record in found if record.previous} - set(listed)
    return tuple(sorted(before | (set(read) - {record.tag for record in found})))


def told(found: Sequence[Record], current: str | None) -> list[Entry]:
    """What became of records, the oldest first; `current` is the digest that the alias names now.

    Those that began from the same record were rivals: the next one's `replaces` says which of them it was.
    """
    groups: dict[str, list[Record]] = {}
    for record in found:
        groups.setdefault(record.previous, []).append(record)
    rivals = list(groups.values())
    outcomes: dict[str, Outcome] = {}
    for place, group in enumerate(rivals):
        named = rivals[place + 1][0].replaces if place + 1 < len(rivals) else current
        winner = next((record for record in group if record.digest == named), None)
        for record in group:
            is_idle = winner is not None or record.replaces == (named or "")
            outcomes[record.tag] = "was" if record is winner else ("never" if is_idle else "unknown")
    last = next((record for record in reversed(found) if outcomes[record.tag] == "was"), None)
    if last is not None and last.digest == current:
        outcomes[last.tag] = "now"
    return _with_ends([Entry(record=record, outcome=outcomes[record.tag]) for record in found])


def _with_ends(entries: list[Entry]) -> list[Entry]:
    finished: list[Entry] = []
    end: datetime | None = None
    for entry in reversed(entries):
        until = end if entry.outcome == "was" else None
        finished.append(Entry(record=entry.record, outcome=entry.outcome, until=until))
        if entry.outcome != "never":
            end = entry.record.at
    return finished[::-1]
