"""KServe (0.20 and later, Standard mode) as the engine: `spec.canary` of one InferenceService.

The slots are the predictors' names. The stable predictor is called ``blue`` or ``green``, its canary the other; that
the canary is promoted means that the stable predictor takes its name, which restarts no pod.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from validator.report.escape import clean
from validator.rollout.settings import ClusterSettings
from validator.rollout.state import SlotName
from validator.rollout.traffic import EngineError, SlotSeen, Weights
from validator.rollout.traffic.cluster import Cluster

SLOTS: tuple[SlotName, ...] = ("blue", "green")
#: Modes in which `spec.canary` is heeded, by their names in annotation and status.
_STANDARD = frozenset({"Standard", "RawDeployment"})
_MODE = "serving.kserve.io/deploymentMode"
_ARTIFACT = re.compile(r"oci://.*@(sha256:[0-9a-f]{64})")
_HINT = "write the InferenceService as `rollout emit --engine kserve` does"


def path_of(settings: ClusterSettings) -> str:
    """The one object that is read and patched."""
    name = settings.kserve.service or settings.model
    group = "/apis/serving.kserve.io/v1beta1"
    return f"{group}/namespaces/{settings.kserve.namespace}/inferenceservices/{name}"


@dataclass(frozen=True, kw_only=True)
class KServe:
    """The engine of a cluster. See `Engine`.

    There is no file that a restart would fall back to: what is stored in the cluster is both.
    """

    settings: ClusterSettings
    cluster: Cluster

    def read(self) -> Mapping[SlotName, SlotSeen]:
        """Weights from the specification, readiness from the status."""
        return _seen(self._object())

    def move(self, weights: Weights, *, safer_first: bool) -> None:  # noqa: ARG002 - stored at once, in one write
        """Set the canary's percent; or, once the candidate stands in for itself, make it the stable predictor."""
        before = self._object()
        stable, canary = _names(before)
        candidate: SlotName = "green" if stable == "blue" else "blue"
        version = {"metadata": {"resourceVersion": str(before["metadata"].get("resourceVersion", ""))}}
        if weights.of(stable) == 100 and (
            canary is None or (weights.rescue == stable and _percent(canary) == 0)
        ):
            return
        if canary is None:
            raise EngineError(f"the InferenceService has no canary: {candidate} gets no traffic", hint=_HINT)
        if weights.rescue == candidate and weights.of(candidate) == 100:
            change: dict[str, Any] = {
                "predictor": _replaced(before["spec"]["predictor"], canary["predictor"])
            }
            change["canary"] = None
        else:
            change = {"canary": [{**canary, "trafficPercent": weights.of(candidate)}]}
        self._heeded(self.cluster.patch(path_of(self.settings), version | {"spec": change}), weights)

    def artifacts(self) -> Mapping[SlotName, str]:
        """The digest of what each slot serves, from its container's arguments."""
        document = self._object()
        stable, canary = _names(document)
        found = {stable: _digest(document["spec"]["predictor"], stable)}
        if canary is not None:
            _keeps_replicas(document["spec"]["predictor"], canary["predictor"])
            name: SlotName = "green" if stable == "blue" else "blue"
            found[name] = _digest(canary["predictor"], name)
        return found

    def _object(self) -> dict[str, Any]:
        document = self.cluster.get(path_of(self.settings))
        _check(document)
        return document

    def _heeded(self, after: dict[str, Any], weights: Weights) -> None:
        _check(after)
        seen = _seen(after)
        for slot in SLOTS:
            if seen[slot].weight != weights.of(slot):
                raise EngineError(
                    f"the cluster stored weight {seen[slot].weight} for {slot}, and was told {weights.of(slot)}",
                    hint="KServe before 0.20 knows no spec.canary: bring it up to date",
                )


def _check(document: Mapping[str, Any]) -> None:
    """Whether this InferenceService heeds `spec.canary`: what would be ignored silently is refused."""
    metadata, spec, status = (
        part if isinstance(part := document.get(name), dict) else {}
        for name in ("metadata", "spec", "status")
    )
    if not isinstance(spec.get("predictor"), dict) or not metadata:
        raise EngineError("the cluster's answer is no InferenceService", hint=_HINT)
    annotations = metadata.get("annotations") or {}
    mode = status.get("deploymentMode") or annotations.get(_MODE) or ""
    if mode not in _STANDARD:
        raise EngineError(
            f"the InferenceService is in mode {clean(str(mode)) or 'unknown'!r}, in which spec.canary is not heeded",
            hint=f'annotate it with {_MODE}: "Standard"',
        )
    if "canaryTrafficPercent" in spec["predictor"]:
        raise EngineError(
            "spec.predictor.canaryTrafficPercent is set, which Standard mode ignores silently",
            hint="remove it: spec.canary splits the traffic there",
        )


def _names(document: Mapping[str, Any]) -> tuple[SlotName, dict[str, Any] | None]:
    """The stable predictor's slot, and the canary if there is one."""
    spec = document["spec"]
    canaries = spec.get("canary") or []
    if not isinstance(canaries, list) or len(canaries) > 1:
        raise EngineError("the InferenceService has several canaries", hint="leave one, called blue or green")
    stable = spec["predictor"].get("name")
    if stable not in SLOTS:
        raise EngineError(
            f"the stable predictor is called {clean(str(stable))!r}, neither blue nor green", hint=_HINT
        )
    if not canaries:
        return stable, None
    canary = canaries[0]
    other = "green" if stable == "blue" else "blue"
    if not isinstance(canary, dict) or (canary.get("predictor") or {}).get("name") != other:
        raise EngineError(f"the stable predictor is called {stable}, but its canary not {other}", hint=_HINT)
    _percent(canary)
    return stable, canary


def _percent(canary: Mapping[str, Any]) -> int:
    percent = canary.get("trafficPercent")
    if isinstance(percent, bool) or not isinstance(percent, int) or not 0 <= percent <= 100:
        raise EngineError("the canary's trafficPercent is no percentage", hint=_HINT)
    return percent


def _seen(document: Mapping[str, Any]) -> dict[SlotName, SlotSeen]:
    stable, canary = _names(document)
    other: SlotName = "green" if stable == "blue" else "blue"
    percent = 0 if canary is None else _percent(canary)
    up, told = _stable_ready(document)
    seen = {stable: SlotSeen(weight=100 - percent, up=up, status=told)}
    up, told = (False, "not there") if canary is None else _canary_ready(document, other)
    seen[other] = SlotSeen(weight=percent, up=up, status=told)
    return seen


def _stable_ready(document: Mapping[str, Any]) -> tuple[bool, str]:
    for condition in _dicts((document.get("status") or {}).get("conditions")):
        if condition.get("type") == "PredictorReady":
            if condition.get("status") == "True":
                return True, "ready"
            return False, f"not ready ({clean(str(condition.get('reason') or 'no reason given'))})"
    return False, "not reported"


def _canary_ready(document: Mapping[str, Any], name: str) -> tuple[bool, str]:
    for status in _dicts((document.get("status") or {}).get("canaryStatuses")):
        if status.get("name") == name:
            return (True, "ready") if status.get("ready") is True else (False, "not ready")
    return False, "not reported"


def _keeps_replicas(stable: Mapping[str, Any], canary: Mapping[str, Any]) -> None:
    """Unless told how many, KServe runs no pod of a canary at 0 %; and it takes a canary's off the champion's."""
    own, total = canary.get("minReplicas"), stable.get("minReplicas")
    if not isinstance(own, int) or own < 1:
        raise EngineError(
            "the canary has no minReplicas: at 0 % of the traffic none of its pods would run", hint=_HINT
        )
    if not isinstance(total, int) or total <= own:
        raise EngineError(
            f"the stable predictor's minReplicas is not above the canary's {own}, which KServe takes off it",
            hint="give it as many as both need together: the champion must stay able to take all traffic back",
        )


def _digest(predictor: Mapping[str, Any], slot: str) -> str:
    """From `serve oci://…@sha256:…` among the container's arguments."""
    found = {
        match[1]
        for container in _dicts(predictor.get("containers"))
        if container.get("name") == "kserve-container" and isinstance(container.get("args"), list)
        for word in container["args"]
        if (match := _ARTIFACT.fullmatch(str(word)))
    }
    if len(found) != 1:
        raise EngineError(f"the predictor {slot} names no artifact by digest that it serves", hint=_HINT)
    return found.pop()


def _dicts(items: object) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _replaced(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """A merge patch that leaves nothing of the old: what the new one lacks is taken away."""
    patch: dict[str, Any] = dict.fromkeys(old.keys() - new.keys())
    for key, value in new.items():
        before = old.get(key)
        patch[key] = (
            _replaced(before, value) if isinstance(value, dict) and isinstance(before, dict) else value
        )
    return patch
