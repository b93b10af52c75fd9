"""A result in few words: the verdict, the status line, the outputs, the annotations. Pure, plain text throughout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from validator.causes import blocks, causes_of, in_words
from validator.report import figures
from validator.report.escape import clean
from validator.report.findings import ReportedCheck, findings
from validator.report.view import main_metric
from validator.results import GateResult, ParityLevel

Verdict = Literal["pass", "fail", "error"]
Level = Literal["error", "warning", "notice"]

_PARITY_ORDER: tuple[ParityLevel, ...] = get_args(ParityLevel)[::-1]
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


def verdict_of(results: Sequence[GateResult]) -> Verdict:
    """The worst verdict wins; a `pass` that its own checks contradict, or that checked nothing, is a `fail`."""
    passed = bool(results) and all(
        r.verdict == "pass" and r.checks and not any(map(blocks, r.checks)) for r in results
    )
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
    causes = causes_of(result.checks)
    if not causes:
        return one_line(result.reason, 80) or "its checks do not support a pass"
    more = len(causes) - 1
    rest = f" and {more} more {'problem' if more == 1 else 'problems'}" if more else ""
    return one_line(in_words(causes[0]), 80) + rest


def _strengths(result: GateResult) -> list[str]:
    words = [f"{len(result.checks)} checks"]
    if result.parity.level != "none":
        words.append(f"parity {result.parity.level}")
    main = main_metric(result)
    if main is not None:
        words.append(f"{main.name} {figures.number(main.value)}{'' if main.limit else ', no limit set'}")
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
    """One for each problem, waived failure and warning; what matters most first. What only follows is counted."""
    order: tuple[Level, ...] = ("error", "warning", "notice")
    return sorted((a for r in results for a in _annotated(r)), key=lambda found: order.index(found.level))


def _annotated(result: GateResult) -> Iterator[Annotation]:
    path = result.model.path if is_inside(result.model.path) else ""
    found = findings(result.checks)
    if not found.problems and verdict_of([result]) == "fail":
        yield _annotation("error", _name(result), result.reason or "the verdict is fail", path)
    levels: tuple[tuple[Level, tuple[ReportedCheck, ...]], ...] = (
        ("error", found.problems),
        ("warning", found.waived),
        ("warning", found.warnings),
    )
    for level, listed in levels:
        for one in listed:
            yield _of_finding(one, level, result, path)


def _of_finding(one: ReportedCheck, level: Level, result: GateResult, path: str) -> Annotation:
    where = f" [{one.runtimes}]" if one.runtimes else ""
    fails = "failed or " if one.fails else ""
    lines = [
        one.message,
        one.hint,
        f"waived: {one.waived}" if one.waived else "",
        f"{figures.count(one.follows, 'further check')} {fails}could not run because of it"
        if one.follows
        else "",
    ]
    return _annotation(level, f"{_name(result)}: {one.title}{where}", "\n".join(filter(None, lines)), path)


def _annotation(level: Level, title: str, message: str, path: str) -> Annotation:
    text = lines_of(message, MAX_MESSAGE_CHARS)
    return Annotation(
        level=level,
        title=one_line(title, MAX_TITLE_CHARS) or "check",
        message=text or "see the report",
        path=path,
    )
