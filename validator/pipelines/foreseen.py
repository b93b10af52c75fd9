"""Conversion hazards that show in a file before anything of it is loaded: by the classes that a pickle names, and by
what a model text says of itself.

Whether one applies may depend on the estimator's settings, which only the loaded model tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from validator.libraries.known import LIBRARIES
from validator.pipelines.hazards import RULES

_REPAIRED = "converted exactly here; stock converters answer something else"


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """`subject` is the class or the fact that it shows by; `action` what conversion will do if it applies."""

    id: str
    subject: str
    action: str
    message: str
    hint: str = ""

    def to_json(self) -> dict[str, str]:
        return {name: str(getattr(self, name)) for name in ("id", "subject", "action", "message", "hint")}

    def __str__(self) -> str:
        return f"{self.subject}: {self.message} ({self.action})"


def foreseen(names: Iterable[str], facts: Mapping[str, str]) -> tuple[Foreseen, ...]:
    """By the dotted names that a file imports, and the facts that its scan found."""
    classes = {name.rpartition(".")[2] for name in names}
    found = [
        Foreseen(id=rule.id, subject=name, action=_action(rule.note, rule.repair is not None), message=rule.message,
                 hint=rule.hint)
        for rule in RULES
        for name in rule.names
        if name in classes
    ]  # fmt: skip
    return (*found, *_of_trees(facts))


def _action(note: bool, repair: bool) -> str:
    if repair:
        return "repaired where it applies"
    return "to be minded" if note else "refused where it applies"


def _of_trees(facts: Mapping[str, str]) -> Iterable[Foreseen]:
    """What a library's own file tells of its trees."""
    return [
        Foreseen(id=hazard.id, subject=library.name, action=_REPAIRED, message=hazard.what)
        for library in LIBRARIES
        for hazard in library.hazards
        if hazard.shows(facts)
    ]
