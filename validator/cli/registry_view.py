"""What `registry` prints: lines for people, or JSON. All text comes from images, and is shown as a stranger's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator.report.escape import log_line

if TYPE_CHECKING:
    from validator.registry.history import Entry
    from validator.registry.listing import Listing, Shown
    from validator.registry.promoting import Promoted
    from validator.registry.pruning import Plan
    from validator.registry.pulling import Pulled
    from validator.registry.pushing import Pushed

Flags = Mapping[str, Any]
_WORDS = {"now": "now", "was": "was", "never": "never took effect", "unknown": "moved since without a record"}


def pushed(found: Pushed, place: str, flags: Flags) -> None:
    if _as_json(found, flags):
        return
    done = "pushed" if found.is_new else "was there already:"
    print(line(f"{done} {found.version} of {found.model} to {place}{', signed' if found.is_signed else ''}"))
    print(f"  {line(found.reference)}")


def listed(found: Listing, place: str, flags: Flags) -> None:
    if _as_json(found, flags, place=place):
        return
    print(line(f"{place}: {found.total:,} version{'' if found.total == 1 else 's'}"))
    if found.versions:
        print(f"{'VERSION':27}  {'CREATED':16}  {'DIGEST':12}  ALIASES")
    for one in found.versions:
        digest = one.digest.removeprefix("sha256:")[:12] if one.digest else ""
        print(
            line(
                f"{one.version:27}  {_minute(one.created):16}  {digest:12}  {' '.join(one.aliases)}"
            ).rstrip()
        )
    if (hidden := found.total - len(found.versions)) > 0:
        print(f"... and {hidden:,} older: --limit N, or --all")
    for alias in found.unknown:
        print(line(f"{alias} names {found.aliases[alias]}, which is no version here"))


def models(found: Sequence[tuple[str, Listing]], base: str, flags: Flags) -> None:
    if flags.get("json_output"):
        document = [{"name": Path(name).name, "place": name, **asdict(listing)} for name, listing in found]
        print(json.dumps(document, indent=2))
        return
    if not found:
        print(line(f"no model is kept in {base}"))
    for name, listing in found:
        champion = next((one.version for one in listing.versions if "champion" in one.aliases), "none")
        print(line(f"{Path(name).name:24}  {listing.total:>5,} versions  champion {champion}"))


def shown(found: Shown, flags: Flags) -> None:
    if _as_json(found, flags):
        return
    rows = {
        "model": found.model,
        "version": found.version,
        "verdict": found.verdict,
        "parity": found.parity,
        "created": found.created,
        "commit": found.commit or "none",
        "signed": "yes" if found.is_signed else "no",
        "size": f"{found.size_bytes:,} bytes",
        "aliases": " ".join(found.aliases) or "none",
        "digest": found.digest,
        "SHA256SUMS": found.sums,
        "reference": found.reference,
    }
    for name, value in rows.items():
        print(f"{name:11} {line(value)}")


def pulled(found: Pulled, flags: Flags) -> None:
    if _as_json(found, flags, folder=str(found.folder)):
        return
    done = "pulled" if found.is_new else "was there already:"
    print(line(f"{done} {found.version}{', signed' if found.is_signed else ''}: {found.folder}"))
    print(f"  {line(found.digest)}")


def moved(found: Promoted, place: str, flags: Flags) -> None:
    record = found.record
    if _as_json(found, flags, record=_record(record), place=place):
        return
    if not found.is_new:
        print(line(f"{record.alias} of {place} names {record.version} already"))
    else:
        done = "is back at" if record.action == "rollback" else "is now"
        print(line(f"{record.alias} of {place} {done} {record.version}"))
        if record.replaces:
            print(line(f"  before     {record.replaces}"))
    print(line(f"  reference  {found.reference}"))


def history(
    entries: Sequence[Entry],
    current: str | None,
    total: int,
    gone: Sequence[str],
    place: str,
    flags: Flags,
) -> None:
    if flags.get("json_output"):
        document = {
            "place": place,
            "alias": flags["alias"],
            "current": current,
            "total": total,
            "missing": list(gone),
            "entries": [
                {"outcome": one.outcome, "until": _iso(one.until), **_record(one.record)}
                for one in reversed(entries)
            ],
        }
        print(json.dumps(document, indent=2))
        return
    print(line(f"{flags['alias']} of {place}"))
    if not total:
        print("  nothing was ever promoted")
    for one in reversed(entries):
        _entry(one)
    if total > len(entries):
        print(f"  ... and {total - len(entries):,} older: --limit N")
    for tag in gone:
        print(line(f"  A record is gone, or no longer what was written: {tag}"))
    if current is not None and not any(one.outcome == "now" for one in entries):
        print(
            line(f"  It names {current}, of which no record tells: somebody moved it without this command.")
        )


def _entry(one: Entry) -> None:
    record = one.record
    back = "  rollback" if record.action == "rollback" else ""
    print(line(f"  {record.at:%Y-%m-%d %H:%M}  {record.version}  {_WORDS[one.outcome]}{back}"))
    until = f"until {one.until:%Y-%m-%d %H:%M}" if one.until is not None else ""
    told = [f"by {record.by}" if record.by else "", until, "signed" if record.signed_by else ""]
    print(line(f"    {', '.join(part for part in told if part)}"))
    for text in (record.reason, record.url):
        if text:
            print(line(f"    {text}"))


def pruned(planned: Plan, gone: Sequence[str] | None, place: str, flags: Flags) -> None:
    if flags.get("json_output"):
        document = {"place": place, **asdict(planned), "removed": None if gone is None else list(gone)}
        print(json.dumps(document, indent=2))
        return
    print(
        line(
            f"{place}: kept are {planned.newest} newest, {planned.named} that aliases name, "
            f"{planned.earlier} promoted lately"
        )
    )
    if not planned.remove:
        print("nothing is old enough to be removed")
        return
    for version, _ in planned.remove:
        done = "" if gone is None else ("removed  " if version in gone else "kept     ")
        print(line(f"  {done}{version}"))
    if gone is None:
        print(f"{len(planned.remove):,} would be removed; --yes removes them")
    elif len(gone) < len(planned.remove):
        print("What was kept is named by an alias, or was moved, since it was looked at.")


def line(text: str) -> str:
    """One line of a stranger's text."""
    return log_line(text, limit=600)


def _as_json(found: Any, flags: Flags, **more: Any) -> bool:
    if not flags.get("json_output"):
        return False
    print(json.dumps({**asdict(found), **more}, indent=2))
    return True


def _record(record: Any) -> dict[str, Any]:
    return {**asdict(record), "at": _iso(record.at), "tag": record.tag}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _minute(created: str) -> str:
    return created[:16].replace("T", " ")
