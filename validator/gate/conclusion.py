"""The verdict, and everything that is written down."""

from __future__ import annotations

import json
import os
import platform
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import validator
from validator.artifact.version import Moment, choose_moment, head_commit, make_version
from validator.artifact.write import write_artifact
from validator.checklist import Verdict, decide
from validator.checks.check import CheckOutcome, failed, passed, result, seen
from validator.errors import PreflightError, UsageError
from validator.gate.result_builder import ResultBuilder
from validator.model.file import identify
from validator.permissions import remedy
from validator.results import Environment, GateResult, RunIndex
from validator.settings.table import Settings
from validator.whole_file import whole_file

if TYPE_CHECKING:
    from validator.profile import Profile

#: How far clocks of honest machines may be apart, time zones mistaken for UTC included.
_AHEAD = timedelta(days=1)
_MOST_LOOSENED = 50
RESULT_NAME = "result.json"
INDEX_NAME = "index.json"
REPORT_NAMES = ("report.md", "report.html", "junit.xml")


def conclude(
    builder: ResultBuilder, settings: Settings, environ: Mapping[str, str], now: datetime
) -> GateResult:
    """The verdict on what was found, as a result without its artifact. Reads Git, and the model file again."""
    commit = head_commit(Path(builder.file))
    moment = choose_moment(
        source_date_epoch=environ.get("SOURCE_DATE_EPOCH"), commit=commit, now=lambda: now.astimezone(UTC)
    )
    version = make_version(moment=moment, model_sha256=builder.model.sha256)
    builder.add(result("version.recorded", "", _judge_record(builder, version, moment, now)))
    builder.add(result("version.artifact", "", passed("written with its checksums")))
    verdict = decide(
        builder.checks, runtimes=builder.runtimes, waivers=settings.waivers, today=now.date(),
        waiver_days=settings.waiver_days,
    )  # fmt: skip
    return _assembled(builder, verdict, version, moment.iso, commit.sha if commit else "", settings)


def _judge_record(builder: ResultBuilder, version: str, moment: Moment, now: datetime) -> CheckOutcome:
    """Whether hash and time say what was judged: the file is still the one that was read, and no time lies ahead."""
    evidence = (seen("sha256", builder.model.sha256), seen("time", moment.iso))
    source = moment.source.replace("_", " ")
    try:
        sha256 = identify(builder.file).sha256
    except PreflightError as error:
        sha256 = error.message
    if sha256 != builder.model.sha256:
        return failed(
            f"the model file changed while it was judged: it was {builder.model.sha256[:8]}, "
            f"now it is {sha256[:200]}",
            *evidence,
            hint="let nothing write the model file while it is judged, then run again",
        )
    if moment.time > now + _AHEAD:
        return failed(
            f"the version's time {moment.iso}, from the {source}, lies ahead of this machine's clock",
            *evidence,
            hint="correct the clock, the commit's time or SOURCE_DATE_EPOCH",
        )
    return passed(f"{version}, time from the {source}", *evidence)


def provisional(builder: ResultBuilder, settings: Settings) -> GateResult:
    """The result as if the run ended here, for a deployment that is tried before there is a verdict."""
    moment = Moment(time=datetime.fromtimestamp(0, UTC), source="clock")
    version = make_version(moment=moment, model_sha256=builder.model.sha256)
    verdict = Verdict(verdict="fail", reason="still being judged", checks=())
    return _assembled(builder, verdict, version, moment.iso, "", settings)


def _assembled(
    builder: ResultBuilder, verdict: Verdict, version: str, created_at: str, commit: str, settings: Settings
) -> GateResult:
    return GateResult(
        tool_version=validator.__version__,
        verdict=verdict.verdict,
        reason=verdict.reason,
        version=version,
        created_at=created_at,
        model=builder.model,
        contract=builder.contract,
        conversion=builder.conversion,
        parity=builder.parity,
        latency=builder.latency,
        quality=builder.quality,
        change=builder.change,
        checks=verdict.checks,
        loosened=_first(builder.loosened),
        environment=Environment(
            python=platform.python_version(),
            platform=f"{platform.system()} {platform.machine()}",
            cpus=os.cpu_count() or 1,
            packages=dict(builder.packages),
            isolation=builder.isolation,
            git_commit=commit,
            trust_reason=settings.trust_pickle or "",
        ),
        timings=builder.stage.seconds,
        shapes=builder.shapes,
    )


def write(
    out: Path,
    found: GateResult,
    onnx: bytes | None,
    profile: Profile | None = None,
    golden: bytes | None = None,
) -> GateResult:
    """Write artifact, reports and, last, `result.json`, each whole or not at all.

    Returns the result with its artifact; a result whose artifact cannot be written fails.
    """
    from validator.profile import profile_json
    from validator.report.markdown import render_markdown

    owner = _owner(out)
    stable = render_markdown([found], volatile=False)
    try:
        artifact = write_artifact(
            out,
            result=found,
            onnx=onnx,
            report_md=stable,
            profile=None if profile is None else profile_json(profile),
            golden=golden,
            owner=owner,
        )
        found = found.model_copy(
            update={"artifact": artifact.model_copy(update={"path": _shown(artifact.path)})}
        )
    except PreflightError as error:
        found = _without_artifact(found, error)
    _write_reports(out, [found], owner)
    write_file(out / RESULT_NAME, found.model_dump_json(indent=2) + "\n", owner)
    return found


def write_overview(out: Path, found: Sequence[GateResult]) -> None:
    """The reports of several models as one; each model's own lie in its own folder below."""
    _write_reports(out, found, _owner(out))


def write_index(out: Path, index: RunIndex) -> None:
    """What the run was to judge and what it did: the last file that a run writes, and what it does not name is
    not its.

    Raises UsageError when it cannot be written.
    """
    if not out.is_dir():
        prepare_folder(out)
    write_file(out / INDEX_NAME, index.model_dump_json(indent=2) + "\n", _owner(out))


def _write_reports(out: Path, found: Sequence[GateResult], owner: tuple[int, int] | None) -> None:
    from validator.report.junit import render_junit
    from validator.report.markdown import render_markdown
    from validator.report.webpage import render_html

    write_file(out / "report.md", render_markdown(found), owner)
    write_file(out / "report.html", render_html(found), owner)
    write_file(out / "junit.xml", render_junit(found), owner)


def _without_artifact(found: GateResult, error: PreflightError) -> GateResult:
    checks = tuple(
        check.model_copy(update={"status": "error", "message": error.message, "hint": error.hint})
        if check.id == "version.artifact"
        else check
        for check in found.checks
    )
    reason = f"Artifact complete: {error.message}" if found.verdict == "pass" else found.reason
    return found.model_copy(update={"verdict": "fail", "reason": reason, "checks": checks})


def _shown(path: str) -> str:
    """Relative to where the command runs, if it lies below."""
    whole, here = Path(path).resolve(), Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)


def prepare_folder(out: Path) -> None:
    """Make the output folder, before any work is done. Raises UsageError when it cannot be written to."""
    try:
        created = [folder for folder in (out, *out.parents) if not folder.exists()]
        out.mkdir(parents=True, exist_ok=True)
        owner = _owner(created[-1] if created else out)
        for folder in created:
            _give(folder, owner)
        probe = out / f".preflight-{secrets.token_hex(8)}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"the output folder {out} cannot be written to: {error.strerror}",
            hint=remedy(error, out, "choose another folder with --out"),
        ) from error
    _forget(out)


def forget_earlier(out: Path) -> None:
    """Remove the verdicts and reports of earlier runs, so that what lies there when this run ends is its own.

    Those of several models lie in folders below. Artifacts stay: their folders say which version they are.
    Raises UsageError when one cannot be removed.
    """
    try:
        below = [path.parent for path in out.glob(f"*/{RESULT_NAME}") if _is_ours(path)]
        for folder in (out, *below):
            _forget(folder)
            (folder / INDEX_NAME).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"what an earlier run wrote to {out} cannot be removed: {error.strerror}",
            hint=remedy(error, out, "choose another folder with --out"),
        ) from error


def _forget(folder: Path) -> None:
    for name in (RESULT_NAME, *REPORT_NAMES):
        (folder / name).unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    """Whether a `result.json` begins as ours do: another program's, in a folder of its own, is left alone."""
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return b'"schema_version"' in file.read(200)


def write_file(path: Path, text: str, owner: tuple[int, int] | None) -> None:
    """Write a whole file under a temporary name, then rename it."""
    try:
        with whole_file(path) as staged:
            staged.write_text(text, encoding="utf-8")
            _give(staged, owner)
    except OSError as error:
        hint = remedy(error, path, "choose another place, or make room on the disk")
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint=hint) from error


def _owner(folder: Path) -> tuple[int, int] | None:
    """Whom written files should belong to: in a container that runs as root, the owner of the workspace."""
    if os.geteuid() != 0:
        return None
    above = folder.resolve().parent
    facts = above.stat()
    return (facts.st_uid, facts.st_gid) if facts.st_uid != 0 else None


def _give(path: Path, owner: tuple[int, int] | None) -> None:
    if owner is not None:
        os.chown(path, *owner, follow_symlinks=False)


def summary_json(found: list[GateResult], *, several: bool) -> str:
    """All results of a run as one JSON document: a list where `several` models were given, else the single one."""
    plain = [json.loads(one.model_dump_json()) for one in found]
    return json.dumps(plain if several else plain[0], indent=2)


def _first(loosened: tuple[str, ...]) -> tuple[str, ...]:
    """As many of them as a report can show, and how many more there are."""
    more = len(loosened) - _MOST_LOOSENED
    return loosened if more <= 0 else (*loosened[:_MOST_LOOSENED], f"{more} more settings in the same way")
