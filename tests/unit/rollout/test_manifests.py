"""Manifests for KServe and Argo Rollouts: what they say, and that the projects' own schemas take them, strictly."""

from __future__ import annotations

import argparse
import copy
import functools
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.peers.kubernetes_api import strict
from tests.unit.rollout.simulation import SETTINGS
from validator.errors import UsageError
from validator.rollout.traffic.manifests import Document, argo_analysis, argo_rollout, kserve_service
from validator.serving.server.arguments import add_arguments, options_of

IMAGE = f"ghcr.io/acme/serve@sha256:{'a' * 64}"
OLD, NEW = (f"ghcr.io/acme/models/trading@sha256:{digit * 64}" for digit in "01")
#: A folder with the projects' definitions, as `{"kind": …, "schema": …}` files named GROUP_KIND_VERSION.json.
SCHEMAS = os.environ.get("CUSTOM_RESOURCE_SCHEMAS", "")
with_schemas = pytest.mark.skipif(not SCHEMAS, reason="CUSTOM_RESOURCE_SCHEMAS names no folder of schemas")


def rollout() -> Document:
    return argo_rollout(SETTINGS, deployment="trading", ingress="trading", champion="v1", candidate="v2")


def analysis() -> Document:
    return argo_analysis(SETTINGS, judge="http://judge.models:8085")


def service(share: int = 25) -> Document:
    return kserve_service(SETTINGS, image=IMAGE, champion=OLD, candidate=NEW, share=share)


def check(document: Document) -> None:
    group, version = document["apiVersion"].split("/")
    validator(Path(SCHEMAS) / f"{group}_{document['kind']}_{version}.json").validate(document)


@functools.cache
def validator(path: Path) -> Any:
    """Of one kind; large, so read once."""
    return jsonschema.Draft202012Validator(strict(json.loads(path.read_text())["schema"]))


@with_schemas
@pytest.mark.parametrize("document", [rollout(), analysis(), service(), service(0), service(100)])
def test_the_projects_schemas_take_them(document: Document) -> None:
    check(document)


@with_schemas
def test_the_schemas_would_refuse_a_slip() -> None:
    slips: list[tuple[Document, tuple[Any, ...], Any]] = [
        (service(), ("spec", "canary", 0, "trafficPercent"), "25"),
        (service(), ("spec", "canary", 0, "trafficPercents"), 25),
        (rollout(), ("spec", "strategy", "canary", "steps", 0, "setWeights"), 5),
        (analysis(), ("spec", "metrics", 0, "provider", "web", "jsonpath"), "{$}"),
    ]
    for document, path, value in slips:
        wrong = copy.deepcopy(document)
        place: Any = wrong
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value
        with pytest.raises(jsonschema.ValidationError):
            check(wrong)


def test_argo_goes_through_our_stages_and_asks_at_each() -> None:
    steps = rollout()["spec"]["strategy"]["canary"]["steps"]
    assert [step["setWeight"] for step in steps[::2]] == [5, 25, 50]
    for step, state in zip(steps[1::2], ("guard", "guard", "confirm"), strict=True):
        arguments = {one["name"]: one.get("value") for one in step["analysis"]["args"]}
        assert (arguments["stage"], arguments["champion"], arguments["candidate"]) == (state, "v1", "v2")
    declared = {one["name"] for one in analysis()["spec"]["args"]}
    assert declared == {one["name"] for one in steps[1]["analysis"]["args"]}


def test_argo_takes_errors_for_errors() -> None:
    (metric,) = analysis()["spec"]["metrics"]
    assert metric["failureLimit"] == 0
    assert metric["consecutiveSuccessLimit"] == 1
    assert metric["consecutiveErrorLimit"] > 0
    assert metric["inconclusiveLimit"] * 30 >= SETTINGS.deadline_hours * 3600
    assert "||" not in metric["successCondition"]
    assert "default" not in metric["successCondition"]


def test_kserve_splits_by_canary_and_never_by_what_is_ignored() -> None:
    spec = service(25)["spec"]
    assert spec["canary"][0]["trafficPercent"] == 25
    assert "canaryTrafficPercent" not in json.dumps(spec)
    assert service(0)["spec"]["canary"][0]["trafficPercent"] == 0
    serverless = kserve_service(
        SETTINGS, image=IMAGE, champion=OLD, candidate=NEW, share=25, mode="Serverless"
    )
    assert serverless["spec"]["predictor"]["canaryTrafficPercent"] == 25
    with pytest.raises(UsageError, match="no canary that is heeded"):
        kserve_service(SETTINGS, image=IMAGE, champion=OLD, candidate=NEW, share=25, mode="RawDeployment")  # type: ignore[arg-type]


def test_kserve_runs_both_and_takes_no_replica_off_the_champion() -> None:
    """Its controller gives the stable predictor the larger of 1 and its own replicas less the canary's."""
    spec = kserve_service(
        SETTINGS, image=IMAGE, champion=OLD, candidate=NEW, share=0, slot="green", replicas=3
    )["spec"]
    stable, canary = spec["predictor"], spec["canary"][0]["predictor"]
    assert (stable["name"], canary["name"]) == ("green", "blue")
    assert stable["minReplicas"] - canary["minReplicas"] == canary["minReplicas"] == 3


def test_kserve_serves_the_artifact_by_its_digest() -> None:
    """Its server takes the flags that it is given."""
    (container,) = service()["spec"]["predictor"]["containers"]
    word, *rest = container["args"]
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    flags = vars(parser.parse_args(rest))
    options = options_of(flags)
    assert (word, flags["reference"]) == ("serve", f"oci://{OLD}")
    assert (options.port, options.slo_ms) == (container["ports"][0]["containerPort"], SETTINGS.slo_ms)


@pytest.mark.parametrize("change", [{"slot": "red"}, {"replicas": 0}, {"replicas": True}])
def test_odd_slots_and_replicas_are_refused(change: Any) -> None:
    with pytest.raises(UsageError):
        kserve_service(SETTINGS, image=IMAGE, champion=OLD, candidate=NEW, share=0, **change)


@pytest.mark.parametrize("share", [-1, 101, "5", 2.5, True])
def test_odd_percentages_are_refused(share: Any) -> None:
    with pytest.raises(UsageError, match="no percentage"):
        service(share)


@pytest.mark.parametrize(
    "text", ["ghcr.io/a/b:latest", "x", "", "a@sha256:0", f"a b@sha256:{'0' * 64}", "{{evil}}"]
)
def test_references_that_can_move_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no reference by digest"):
        kserve_service(SETTINGS, image=IMAGE, champion=OLD, candidate=text, share=5)


@pytest.mark.parametrize("text", ["v1&outcome=promote", "{{args.x}}", "a b", "", "v1\n", "é"])
def test_hostile_versions_and_names_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        argo_rollout(SETTINGS, deployment="d", ingress="i", champion="v1", candidate=text)
    with pytest.raises(UsageError):
        argo_rollout(SETTINGS, deployment=text, ingress="i", champion="v1", candidate="v2")
    with pytest.raises(UsageError):
        argo_analysis(SETTINGS, judge=f"http://judge/{text} ?x")
