"""Conversion hazards that show in a file before anything of it is loaded: by the classes that a pickle names, and by
what a model text says of itself.

Whether one applies may depend on the estimator's settings, which only the loaded model tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
    return (*found, *_of_text(facts))


def _action(note: bool, repair: bool) -> str:
    if repair:
        return "repaired where it applies"
    return "to be minded" if note else "refused where it applies"


def _of_text(facts: Mapping[str, str]) -> Iterable[Foreseen]:
    """What LightGBM's model text shows in its head."""
    objective = facts.get("objective", "")
    signs = {
        "averaged-trees": facts.get("averaged") == "yes",
        "linear-leaves": facts.get("linear trees", "0") != "0",
        "one-against-all": objective.startswith("multiclassova"),
        "squared-answers": " sqrt" in objective,
        "sigmoid-factor": any(
            word.startswith("sigmoid:") and word != "sigmoid:1" for word in objective.split()
        ),
    }
    texts = {
        "averaged-trees": "the trees are averaged (boosting=rf)",
        "linear-leaves": "the leaves are linear models",
        "one-against-all": "each class has a probability of its own",
        "squared-answers": "the answer is the square of the score (reg_sqrt)",
        "sigmoid-factor": "the sigmoid's factor is not 1",
    }
    return [
        Foreseen(id=id, subject="lightgbm", action=_REPAIRED, message=texts[id])
        for id, seen in signs.items()
        if seen
    ]
