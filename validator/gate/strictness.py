"""Which of two configurations judges less strictly, setting by setting.

Read once for a pull request against its base branch, and once against an organisation's policy: both ask what one
allows that the other does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from validator.settings.table import ContractSettings, FeatureSettings, Settings, Waiver
from validator.worker.quality import HIGHER_IS_BETTER

#: Limits of which a higher one, or none, allows more.
_MOST = (
    "max_latency_ms", "max_load_ms", "max_memory_mb", "max_slowdown", "worker_memory_mb", "worker_timeout_s",
)  # fmt: skip
#: Settings of which a lower value shows less.
_LEAST = ("boundary_rows", "sample_rows", "latency_confidence", "min_rows", "latency_budget_s")
#: Words from strict to lenient.
_WORDS = {
    "inconclusive": ("fail", "estimate", "warn"),
    "isolation": ("require", "auto", "reduced"),
    "column_order": ("auto", "sample"),
    "wrapper_differs": ("fail", "warn"),
    "quality_chance": ("fail", "warn"),
    "profile_drift": ("fail", "warn"),
}
#: Lists of which a longer one allows more.
_LISTS = ("allow", "ignore")
#: Lists of which a shorter one sees less.
_SEEN = ("slices", "batch_sizes")
#: Ways of telling, and of insisting on it.
_TOLD = ("comment", "status", "check_run", "require_publish")
#: Settings whose presence makes the gate see more; without them it sees less.
_SIGHTS = ("data", "reference", "target", "group", "wrapper", "python", "requirements")
#: What differs in a way that cannot be ordered, so that a reader has to look.
_OTHER = (
    "data",
    "onnx",
    "onnx_outputs",
    "task",
    "contract",
    "reading",
    "input_dtype",
    "wrapper",
    "wrapper_methods",
    "target",
    "serves",
    "reference",
    "name",
    "python",
    "requirements",
)
#: The strictest tolerance that a kind of model has where none is set.
_STRICT_TOLERANCE = 1e-9


#: Every setting that `looser` compares.
COMPARED = frozenset({
    *_MOST, *_LEAST, *_WORDS, *_LISTS, *_SIGHTS, *_SEEN, *_TOLD, "tolerance", "quality", "max_quality_loss",
    "trust_pickle", "baseline", "only_changed", "waivers", "contract",
})  # fmt: skip


def looser(head: Settings, base: Settings, names: frozenset[str] | None = None) -> list[str]:
    """What `head` allows and `base` does not, a short phrase each; only of the settings `names` where given."""
    return [text for name, text in _differences(head, base) if names is None or name in names]


def other(head: Settings, base: Settings) -> list[str]:
    """What differs without being looser or stricter."""
    found = []
    if head.tolerance is None and base.tolerance is not None:
        found.append(f"tolerance is the default by model kind instead of {_shown(base.tolerance)}")
    for name in _OTHER:
        before, now = getattr(base, name), getattr(head, name)
        if before != now and now and before:
            vague = name in ("contract", "wrapper_methods", "onnx_outputs")
            found.append(f"{name} is another" if vague else f"{name} is {_shown(now)}")
        elif before != now and name in ("onnx", "onnx_outputs", "contract") and now:
            found.append(f"{name} is given")
    return found


def _differences(head: Settings, base: Settings) -> Iterator[tuple[str, str]]:
    for name in _MOST:
        before, now = getattr(base, name), getattr(head, name)
        if before is not None and (now is None or now > before):
            yield name, f"{name} {_shown(now)} instead of {_shown(before)}"
    yield from _tolerance(head.tolerance, base.tolerance)
    for name in _LEAST:
        before, now = getattr(base, name), getattr(head, name)
        if _rows(name, now) < _rows(name, before):
            yield name, f"{name} {_shown(now)} instead of {_shown(before)}"
    for name, words in _WORDS.items():
        if words.index(getattr(head, name)) > words.index(getattr(base, name)):
            yield name, f"{name} {getattr(head, name)} instead of {getattr(base, name)}"
    for name in _LISTS:
        added = [item for item in getattr(head, name) if item not in getattr(base, name)]
        if added:
            yield name, f"{name} takes {', '.join(added)[:100]}"
    yield from _metrics("quality", head.quality, base.quality, _looser_quality)
    yield from _metrics(
        "max_quality_loss", head.max_quality_loss, base.max_quality_loss, lambda _, a, b: a > b
    )
    if head.trust_pickle is not None and base.trust_pickle is None:
        yield "trust_pickle", "trust_pickle loads what the scan refuses"
    if head.baseline == "none" and base.baseline != "none":
        yield "baseline", "nothing is compared with (baseline none)"
    elif head.baseline not in (None, base.baseline):
        yield (
            "baseline",
            f"compared with {_shown(head.baseline)} instead of {base.baseline or 'the base branch'}",
        )
    if head.only_changed and not base.only_changed:
        yield "only_changed", "only changed models are judged"
    for name in _SIGHTS:
        if getattr(base, name) and not getattr(head, name):
            yield name, f"{name} is gone"
    for name in _TOLD:
        if getattr(base, name) and not getattr(head, name):
            yield name, f"the {name} is off" if name in ("comment", "status") else f"{name} is off"
    for waiver in head.waivers:
        if not any(_covers(known, waiver) for known in base.waivers):
            where = f" ({waiver.runtime})" if waiver.runtime else ""
            yield "waivers", f"{waiver.check}{where} waived until {waiver.expires}"
    for name in _SEEN:
        gone = sorted(set(getattr(base, name)) - set(getattr(head, name)))
        if gone:
            yield name, f"{name} without {', '.join(map(str, gone))[:100]}"
    yield from (("contract", f"contract: {text}") for text in _contract(head.contract, base.contract))


def _tolerance(now: float | None, before: float | None) -> Iterator[tuple[str, str]]:
    if now is not None and now > (_STRICT_TOLERANCE if before is None else before):
        usual = "the default by model kind" if before is None else _shown(before)
        yield "tolerance", f"tolerance {_shown(now)} instead of {usual}"


def _contract(now: ContractSettings, before: ContractSettings) -> Iterator[str]:
    """What is served by one contract and refused by the other."""
    if now.allow_infinite and not before.allow_infinite:
        yield "infinite features are a declared input"
    yield from _bounds("outputs", _range(now, "output_"), _range(before, "output_"))
    named = {feature.name: feature for feature in now.features}
    for feature in before.features:
        found = named.get(feature.name)
        if found is None:
            if now.features or _says_more(feature):
                yield f"{feature.name[:60]} is not fixed any more"
            continue
        yield from _bounds(feature.name[:60], _range(found), _range(feature))
        if found.missing and not feature.missing:
            yield f"missing values of {feature.name[:60]} are a declared input"
        if feature.categories is not None:
            known = set(map(repr, feature.categories))
            if found.categories is None or {*map(repr, found.categories)} - known:
                yield f"{feature.name[:60]} takes further categories"


def _says_more(feature: FeatureSettings) -> bool:
    return feature.categories is not None or _range(feature) != (None, None)


def _range(owner: ContractSettings | FeatureSettings, prefix: str = "") -> tuple[float | None, float | None]:
    return getattr(owner, f"{prefix}minimum"), getattr(owner, f"{prefix}maximum")


def _bounds(
    what: str, now: tuple[float | None, float | None], before: tuple[float | None, float | None]
) -> Iterator[str]:
    if before[0] is not None and (now[0] is None or now[0] < before[0]):
        yield f"{what} from {_shown(now[0])} instead of {_shown(before[0])}"
    if before[1] is not None and (now[1] is None or now[1] > before[1]):
        yield f"{what} up to {_shown(now[1])} instead of {_shown(before[1])}"


def _rows(name: str, value: float) -> float:
    """No bound on the sample's rows is written as 0."""
    return value or math.inf if name == "sample_rows" else value


def _metrics(
    name: str, now: dict[str, float], before: dict[str, float], looser: Callable[[str, float, float], bool]
) -> Iterator[tuple[str, str]]:
    for metric, limit in before.items():
        if metric not in now:
            yield name, f"{name} of {metric} is gone (it was {_shown(limit)})"
        elif looser(metric, now[metric], limit):
            yield name, f"{name} of {metric} {_shown(now[metric])} instead of {_shown(limit)}"


def _looser_quality(metric: str, now: float, before: float) -> bool:
    return now < before if metric.partition("[")[0] in HIGHER_IS_BETTER else now > before


def _covers(known: Waiver, waiver: Waiver) -> bool:
    return (
        known.check == waiver.check
        and known.runtime in ("", waiver.runtime)
        and known.expires >= waiver.expires
    )


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)[:100]
