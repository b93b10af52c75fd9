"""Which of the checks that forbid shipping are causes, and which only follow from one. Pure.

One cause is one problem wherever problems are counted: in the verdict's reason, the status line, the comment, the
annotations, JUnit and the terminal. What follows from a cause still blocks, and stays in the checklist's tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from validator.results import CheckResult

_BLOCKING = ("fail", "error", "skip")
#: How many kinds of failure may lie behind one of this category.
_DISTANCES = {
    "load": 0,
    "convert": 2,
    "parity": 3,
    "wrapper": 5,
    "errors": 5,
    "latency": 6,
    "quality": 7,
    "profile": 8,
    "version": 9,
}
#: Checks that look at the same thing again: a failure beside one of those named follows from it on any runtime.
_ECHOES = {"latency.single": ("smoke.latency",)}
#: The same, on the same runtime.
_ECHOES_THERE = {
    "smoke.latency": ("wrapper.inputs",),
    "smoke.rowwise": ("smoke.repeatable", "wrapper.inputs"),
    "smoke.threads": ("smoke.repeatable", "wrapper.inputs"),
    "smoke.methods": ("smoke.repeatable", "smoke.rowwise", "wrapper.inputs"),
    "errors.large_batch": ("smoke.batch", "smoke.rowwise", "smoke.repeatable"),
    "errors.many_threads": ("wrapper.inputs", "smoke.threads", "smoke.repeatable", "smoke.rowwise"),
    "errors.reordered_features": ("wrapper.inputs",),
    "latency.single": ("wrapper.inputs",),
    "wrapper.agrees": ("wrapper.inputs", "smoke.repeatable", "smoke.rowwise"),
    "wrapper.sizes": ("smoke.batch", "smoke.repeatable", "smoke.rowwise", "wrapper.agrees"),
}
#: A native model that fails one of these has no right answer of its own with which anything could be compared.
_NO_ANSWER = (
    "smoke.single",
    "smoke.batch",
    "smoke.shape",
    "smoke.range",
    "smoke.finite",
    "smoke.repeatable",
    "smoke.rowwise",
)
_COMPARING = ("parity", "quality", "wrapper")
_PARITY, _NO_REFERENCE = "parity differs", "native gives no answer"
#: An error's name and text, as messages quote it.
_ERROR = re.compile(r"\b([A-Z]\w*(?:Error|Exception|Warning|Interrupt))\b:?\s*(.{0,200})", re.DOTALL)


def blocks(check: CheckResult) -> bool:
    """Whether this result alone makes the gate fail."""
    return check.required and check.status in _BLOCKING and not check.waived


def is_note(check: CheckResult) -> bool:
    """Whether it says what is good to know, and asks nothing of anybody."""
    return check.status == "warn" and not check.required


@dataclass(kw_only=True)
class Cause:
    """One problem. `checks` all say it, `lead` the first of them; `follows` failed or could not run because of it."""

    checks: list[CheckResult]
    follows: list[CheckResult] = field(default_factory=list)

    @property
    def lead(self) -> CheckResult:
        return self.checks[0]


def causes_of(checks: Iterable[CheckResult]) -> tuple[Cause, ...]:
    """The problems among the checks, a possible cause before its possible consequences; empty where nothing blocks.

    What could not run is a consequence of the first cause, and a cause itself only where nothing else blocks.
    """
    blocking = causes_first(filter(blocks, checks))
    failed = [check for check in blocking if check.status != "skip"]
    sorting = _Sorting()
    for check in failed or blocking:
        sorting.take(check)
    if failed:
        sorting.found[0].follows += [check for check in blocking if check.status == "skip"]
    return tuple(sorting.found)


def causes_first(checks: Iterable[CheckResult]) -> list[CheckResult]:
    """In the order in which a reader should look at them: a possible cause before its possible consequences.

    A model that answers wrongly by itself comes before a conversion that fails or differs; what was merely not run
    comes last.
    """
    return sorted(checks, key=lambda check: (check.status == "skip", _distance(check)))


def in_words(cause: Cause) -> str:
    """The cause's title, with the runtimes that it was seen on."""
    runtimes = ", ".join(dict.fromkeys(check.runtime for check in cause.checks if check.runtime))
    return cause.lead.title + (f" ({runtimes})" if runtimes else "")


def _distance(check: CheckResult) -> int:
    if check.category == "smoke":
        return 1 if check.runtime == "native" else 4
    if check.id == "wrapper.inputs":  # what is changed, or answered from an earlier call, fails everywhere
        return 3
    return _DISTANCES[check.category]


_Error = tuple[str, str]
_Key = str | tuple[object, ...]


@dataclass(kw_only=True)
class _Sorting:
    """Causes so far, and by what a further check is known to belong to one of them."""

    found: list[Cause] = field(default_factory=list)
    _same: dict[_Key, Cause] = field(default_factory=dict)
    _behind: dict[_Key, Cause] = field(default_factory=dict)
    _seen: set[tuple[int, str, str]] = field(default_factory=set)

    def take(self, check: CheckResult) -> None:
        """Put a check with those that say the same, or behind its cause; else it is a cause of its own."""
        error = _error_in(check)
        sayings, roots = _sayings(check, error), _roots(check, error)
        cause = next((self._same[key] for key in sayings if key in self._same), None)
        if cause is not None and (id(cause), check.id, check.runtime) not in self._seen:
            cause.checks.append(check)
            self._know(self._same, sayings, cause)
        elif (
            cause := next((self._behind[key] for key in (*roots, *sayings) if key in self._behind), None)
        ) is not None:
            cause.follows.append(check)
            self._know(self._behind, sayings, cause)
        else:
            cause = Cause(checks=[check])
            self.found.append(cause)
            self._know(self._same, sayings, cause)
        self._seen.add((id(cause), check.id, check.runtime))
        self._know(self._behind, _effects(check, error), cause)

    def _know(self, where: dict[_Key, Cause], keys: Iterable[_Key], cause: Cause) -> None:
        for key in keys:
            where.setdefault(key, cause)


def _sayings(check: CheckResult, error: _Error | None) -> list[_Key]:
    """By what checks are known to say the same: one check on several runtimes, wrong inputs that have one remedy."""
    if check.status == "skip":
        return [(check.status, check.message, check.hint)]
    keys: list[_Key] = [(check.status, check.id, check.hint, error)]
    if check.category == "errors" and check.hint:
        keys.append((check.status, "errors", check.runtime, check.hint))
    return keys


def _roots(check: CheckResult, error: _Error | None) -> list[_Key]:
    """The effects, of an earlier failure, of which this one can be."""
    if check.status == "skip":
        return []
    return [
        *([error] if error else []),
        *_ECHOES.get(check.id, ()),
        *((id, check.runtime) for id in _ECHOES_THERE.get(check.id, ())),
        *([_PARITY] if check.category == "parity" else []),
        *([_NO_REFERENCE] if check.category in _COMPARING else []),
    ]


def _effects(check: CheckResult, error: _Error | None) -> list[_Key]:
    """What a failure makes fail as well."""
    if check.status == "skip":
        return []
    mute = check.runtime == "native" and check.id in _NO_ANSWER
    return [
        *([error] if error else []),
        check.id,
        (check.id, check.runtime),
        *([_PARITY] if check.category == "parity" else []),
        *([_NO_REFERENCE] if mute else []),
    ]


def _error_in(check: CheckResult) -> _Error | None:
    """The error that a message quotes, without the numbers in it, which differ from call to call."""
    found = _ERROR.search(check.message[:2_000])
    return (found[1], re.sub(r"\d+", "#", found[2])) if found else None
