"""A result in few words: the verdict, the status line, the outputs, the annotations. Pure, plain text throughout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from validator.checklist import blocks
from validator.report.escape import clean
from validator.results import CheckResult, GateResult, ParityLevel

Verdict = Literal["pass", "fail", "error"]
Level = Literal["error", "warning", "notice"]

_PARITY_ORDER: tuple[ParityLevel, ...] = ("none", "measured", "proved")
MAX_MESSAGE_CHARS = 2_000
MAX_TITLE_CHARS = 200
MAX_OUTPUT_CHARS = 10_000


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """One finding, shown beside the model file: `path` relative to the repository, empty where none fits."""

    level: Level
    title: str
    message: str
    path: str = ""


def one_line(text: str, limit: int) -> str:
    """One line of visible characters, at most `limit` of them, cut with an ellipsis."""
    return clean(" ".join(text[: limit * 20].split()), limit=limit).strip()


def lines_of(text: str, limit: int) -> str:
    """Several lines of visible characters, empty lines left out, cut after `limit` characters."""
    found = (one_line(line, limit) for line in text[: limit * 2].splitlines())
    return "\n".join(line for line in found if line)[:limit]


def is_inside(path: str) -> bool:
    """Whether the path is a plain relative one that stays in its folder: no `..`, no root, nothing unseen."""
    parts = path.split("/")
    plain = path == clean(path, limit=1_000) and "\\" not in path and ":" not in parts[0]
    return bool(path) and plain and not path.startswith("/") and ".." not in parts and "" not in parts


def blocking(result: GateResult) -> list[CheckResult]:
    """The checks that forbid shipping, what was merely not run last."""
    return sorted(filter(blocks, result.checks), key=lambda check: check.status == "skip")


def verdict_of(results: Sequence[GateResult]) -> Verdict:
    """The worst verdict wins; a `pass` that its own checks contradict, or that checked nothing, is a `fail`."""
    passed = bool(results) and all(r.verdict == "pass" and r.checks and not blocking(r) for r in results)
    return "pass" if passed else "fail"


def headline(results: Sequence[GateResult]) -> str:
    """What happened, in a line: for the status, the check run's title and the log."""
    bad = [r for r in results if verdict_of([r]) == "fail"]
    if not results:
        return "nothing was judged"
    loosened = list(dict.fromkeys(line for r in results for line in r.loosened))
    if loosened:
        plain = [r.model_copy(update={"loosened": ()}) for r in results]
        told = one_line(
            "; ".join(loosened[:3]) + (f"; {len(loosened) - 3} more" if len(loosened) > 3 else ""), 90
        )
        verdict, _, rest = headline(plain).partition(": ")
        return f"{verdict}, judged less strictly ({told}): {rest}"
    if bad:
        named = "; ".join(f"{_name(r)}: {_why(r)}" for r in bad[:3])
        count = f"{len(bad)} of {len(results)} models: " if len(results) > 1 else ""
        return f"fail: {count}{named}"
    if len(results) > 1:
        return f"pass: {len(results)} models: " + ", ".join(map(_name, results))
    return f"pass: {_name(results[0])}: " + ", ".join(_strengths(results[0]))


def _name(result: GateResult) -> str:
    return one_line(result.model.name, 40) or "model"


def _why(result: GateResult) -> str:
    stops = blocking(result)
    if not stops:
        return one_line(result.reason, 80) or "its checks do not support a pass"
    first = stops[0]
    more = f" and {len(stops) - 1} more" if len(stops) > 1 else ""
    return one_line(first.title, 60) + (f" ({first.runtime})" if first.runtime else "") + more


def _strengths(result: GateResult) -> list[str]:
    words = [f"{len(result.checks)} checks"]
    if result.parity.level != "none":
        words.append(f"parity {result.parity.level}")
    if result.latency.onnx is not None:
        words.append(f"p99 {result.latency.onnx.p99_ms:.3g} ms")
    if result.latency.speedup is not None:
        words.append(f"ONNX {result.latency.speedup.value:.1f}x as fast")
    return words


def outputs(
    results: Sequence[GateResult], *, verdict: Verdict, result_path: str = "", report_path: str = ""
) -> dict[str, str]:
    """The action's outputs but for `comment-url`. With several models one line each, or the worst of them."""
    levels = [r.parity.level for r in results]
    speedups = [r.latency.speedup.value for r in results if r.latency.speedup is not None]
    found = {
        "verdict": verdict,
        "version": "\n".join(r.version for r in results),
        "report-path": report_path,
        "result-path": result_path,
        "artifact-path": "\n".join(r.artifact.path for r in results if r.artifact is not None),
        "parity": min(levels, key=_PARITY_ORDER.index, default=""),
        "speedup": f"{min(speedups):.2f}" if speedups and len(speedups) == len(results) else "",
    }
    return {name: lines_of(value, MAX_OUTPUT_CHARS) for name, value in found.items()}


def annotations_of(results: Sequence[GateResult]) -> list[Annotation]:
    """One for each check that blocks or warns, the blocking ones first."""
    return sorted((a for r in results for a in _findings(r)), key=lambda found: found.level != "error")


def _findings(result: GateResult) -> Iterator[Annotation]:
    path = result.model.path if is_inside(result.model.path) else ""
    stops = blocking(result)
    if not stops and verdict_of([result]) == "fail":
        yield _annotation("error", _name(result), result.reason or "the verdict is fail", path)
    noted = [c for c in result.checks if c.status in ("warn", "fail", "error") and c not in stops]
    levels: tuple[tuple[Level, list[CheckResult]], ...] = (("error", stops), ("warning", noted))
    for level, checks in levels:
        for alike in _alike(checks):
            yield _of_checks(alike, level, result, path)


def _alike(checks: Sequence[CheckResult]) -> list[list[CheckResult]]:
    """Checks that say the same of several runtimes, together."""
    found: dict[tuple[str, str, str, str], list[CheckResult]] = {}
    for check in checks:
        found.setdefault((check.id, check.message, check.hint, check.waived), []).append(check)
    return list(found.values())


def _of_checks(alike: Sequence[CheckResult], level: Level, result: GateResult, path: str) -> Annotation:
    check = alike[0]
    runtimes = ", ".join(one.runtime for one in alike if one.runtime)
    where = f" [{runtimes}]" if runtimes else ""
    waived = f"\nwaived: {check.waived}" if check.waived else ""
    hint = f"\n{check.hint}" if check.hint else ""
    return _annotation(level, f"{_name(result)}: {check.title}{where}", check.message + hint + waived, path)


def _annotation(level: Level, title: str, message: str, path: str) -> Annotation:
    text = lines_of(message, MAX_MESSAGE_CHARS)
    return Annotation(
        level=level,
        title=one_line(title, MAX_TITLE_CHARS) or "check",
        message=text or "see the report",
        path=path,
    )
