"""KServe as the engine: patches against a Kubernetes API, and whole rollouts through it."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.peers.kubernetes_api import KubernetesAPI
from tests.unit.rollout.simulation import SETTINGS
from tests.unit.rollout.world import World
from validator.errors import SettingsError
from validator.prometheus import Prometheus, Series
from validator.rollout.parts import Predictor
from validator.rollout.settings import ClusterSettings, read_settings
from validator.rollout.slots import SlotError
from validator.rollout.stages import weights
from validator.rollout.state import SlotName
from validator.rollout.step import roll_back
from validator.rollout.traffic import EngineError, SlotSeen, Weights
from validator.rollout.traffic.cluster import Access, Cluster
from validator.rollout.traffic.kserve import KServe
from validator.rollout.traffic.manifests import kserve_service

IMAGE = f"ghcr.io/acme/serve@sha256:{'a' * 64}"
OLD, NEW = (f"ghcr.io/acme/models/trading@sha256:{digit * 64}" for digit in "01")
SCHEMAS = os.environ.get("CUSTOM_RESOURCE_SCHEMAS", "")
CLUSTER = ClusterSettings.model_validate(
    SETTINGS.model_dump(exclude={"slots", "haproxy", "margins"}) | {"kserve": {"namespace": "models"}}
)


@functools.cache
def schema() -> Mapping[str, Any] | None:
    """KServe's own definition, where there is one at hand."""
    if not SCHEMAS:
        return None
    path = Path(SCHEMAS) / "serving.kserve.io_InferenceService_v1beta1.json"
    found: Mapping[str, Any] = json.loads(path.read_text())["schema"]
    return found


def service(share: int = 0, **changes: Any) -> dict[str, Any]:
    """As `rollout emit` writes it."""
    return kserve_service(SETTINGS, image=IMAGE, champion=OLD, candidate=NEW, share=share, **changes)


#: One for all tests of a module: each would read the machine's certificates anew.
CLIENTS: list[httpx.Client] = []


@pytest.fixture(scope="module", autouse=True)
def client() -> Iterator[None]:
    with httpx.Client(trust_env=False, timeout=10) as one:
        CLIENTS.append(one)
        yield
        CLIENTS.clear()


@pytest.fixture
def api() -> Iterator[KubernetesAPI]:
    with KubernetesAPI(service(), schema=schema()) as one:
        yield one


def engine(api: KubernetesAPI, token: str = "t") -> KServe:
    access = Access(server=api.url, trust=None, token=token)
    return KServe(settings=CLUSTER, cluster=Cluster(access=access, client=CLIENTS[0]))


def test_weights_are_set_and_read_back(api: KubernetesAPI) -> None:
    one = engine(api)
    assert one.read() == {
        "blue": SlotSeen(weight=100, up=True, status="ready"), "green": SlotSeen(weight=0, up=True, status="ready")
    }  # fmt: skip
    for share in (5, 25, 100, 0):
        one.move(weights("blue", share), safer_first=False)
        assert api.shares() == {"blue": 100 - share, "green": share}
        assert one.read()["green"].weight == share
    patches = [call for call in api.calls if call.method == "PATCH"]
    assert {call.query["fieldValidation"] for call in patches} == {"Strict"}
    assert all(
        call.body.keys() == {"metadata", "spec"} and call.body["spec"].keys() == {"canary"}
        for call in patches
    )


def test_both_keep_their_pods_in_every_stage(api: KubernetesAPI) -> None:
    one = engine(api)
    for share in (0, 5, 100):
        one.move(weights("blue", share), safer_first=False)
        assert (api.pods("blue"), api.pods("green")) == (1, 1)


def test_promoted_the_canary_is_the_stable_predictor_and_nothing_is_left_of_the_old(
    api: KubernetesAPI,
) -> None:
    api.document["spec"]["predictor"]["serviceAccountName"] = "old"
    one = engine(api)
    one.move(weights("blue", 100), safer_first=False)
    canary = api.document["spec"]["canary"][0]["predictor"]
    one.move(weights("blue", 100, swapped=True), safer_first=False)
    assert api.document["spec"] == {"predictor": canary}
    assert {slot: seen.weight for slot, seen in one.read().items()} == {"blue": 0, "green": 100}
    count = len(api.calls)
    one.move(weights("blue", 100, swapped=True), safer_first=False)
    assert [call.method for call in api.calls[count:]] == ["GET"], "what is so is not patched again"


def test_readiness_comes_from_the_status(api: KubernetesAPI) -> None:
    one = engine(api)
    api.ready = {"blue": False, "green": False}
    api.reconcile()
    seen = one.read()
    assert (seen["blue"].up, seen["green"].up) == (False, False)
    assert "Failed" in seen["blue"].status
    del api.document["status"]
    api.document["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] = "Standard"
    assert not any(slot.up for slot in one.read().values()), "what is not reported is not ready"


@pytest.mark.parametrize("mode", ["Serverless", "Knative", "ModelMesh", ""])
def test_a_mode_in_which_it_would_be_ignored_is_refused(api: KubernetesAPI, mode: str) -> None:
    api.document["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] = mode
    api.reconcile()
    with pytest.raises(EngineError, match=r"spec\.canary is not heeded"):
        engine(api).move(weights("blue", 5), safer_first=False)
    assert not [call for call in api.calls if call.method == "PATCH"]


def test_a_percentage_that_is_ignored_silently_is_refused(api: KubernetesAPI) -> None:
    api.document["spec"]["predictor"]["canaryTrafficPercent"] = 10
    with pytest.raises(EngineError, match="ignores silently"):
        engine(api).read()


def test_a_kserve_that_knows_no_canary_is_refused(api: KubernetesAPI) -> None:
    api.knows_canary = False
    with pytest.raises(EngineError, match=r"status 400: .*unknown field"):
        engine(api).move(weights("blue", 5), safer_first=False)


def test_what_was_stored_otherwise_than_told_is_noticed(api: KubernetesAPI) -> None:
    answer = json.dumps(api.document).encode()
    api.answers = lambda method: (200, answer) if method == "PATCH" else None
    with pytest.raises(EngineError, match="stored weight 100 for blue, and was told 95"):
        engine(api).move(weights("blue", 5), safer_first=False)


def test_whoever_changed_it_meanwhile_wins(api: KubernetesAPI) -> None:
    def somebody(server: KubernetesAPI) -> None:
        server.before_patch = None
        server.document["metadata"]["resourceVersion"] = "77"

    api.before_patch = somebody
    with pytest.raises(EngineError, match=r"409.*has been modified"):
        engine(api).move(weights("blue", 5), safer_first=False)
    assert api.shares()["green"] == 0
    engine(api).move(weights("blue", 5), safer_first=False)
    assert api.shares()["green"] == 5


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, b"<html>"), "no JSON"), ((502, b"bad gateway"), "502 and no JSON"), ((200, b"[1]"), "no object"),
        ((200, b"{}"), "no InferenceService"), ((200, b"[" * 100_000), "no JSON"),
        ((500, b'{"message": "a\\u001b[31m\\nb"}'), "status 500"), ((302, b"{}"), "status 302"),
    ],
)  # fmt: skip
def test_odd_answers_are_told(api: KubernetesAPI, answer: tuple[int, bytes], told: str) -> None:
    api.answers = lambda method: answer
    with pytest.raises(EngineError, match=told) as caught:
        engine(api).read()
    assert "\x1b" not in caught.value.message
    assert "\n" not in caught.value.message


def test_rights_are_those_of_one_object(api: KubernetesAPI) -> None:
    with pytest.raises(EngineError, match="status 401"):
        engine(api, token="other").read()
    one = engine(api)
    other = dataclasses.replace(
        one,
        settings=CLUSTER.model_copy(update={"kserve": CLUSTER.kserve.model_copy(update={"service": "else"})}),
    )
    with pytest.raises(EngineError, match="status 404"):
        other.read()


def test_a_cluster_that_is_gone_is_told() -> None:
    with KubernetesAPI(service()) as gone:
        one = engine(gone)
    with pytest.raises(EngineError, match="cannot ask the cluster"):
        one.read()


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("predictor", "name"), "red", "neither blue nor green"),
        (("canary", 0, "predictor", "name"), "blue", "its canary not green"),
        (("canary", 0, "trafficPercent"), "5", "no percentage"),
        (("canary", 0, "trafficPercent"), True, "no percentage"),
        (("canary",), [1], "its canary not green"),
        (("canary",), [{}, {}], "several canaries"),
        (("predictor",), None, "no InferenceService"),
    ],
)
def test_what_is_not_ours_is_refused(
    api: KubernetesAPI, path: tuple[Any, ...], value: Any, told: str
) -> None:
    place: Any = api.document["spec"]
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    with pytest.raises(EngineError, match=told):
        engine(api).read()


# what is served -----------------------------------------------------------------------------------------------------


class Seen(Prometheus):
    """What Prometheus saw of the versions."""

    def __init__(self, *infos: Mapping[str, str]) -> None:
        super().__init__(url="http://p", client=CLIENTS[0])
        object.__setattr__(self, "infos", infos)

    def now(self) -> float:
        return 1000.0

    def samples(self, metric: str, labels: Mapping[str, str], *, seconds: float, at: float) -> list[Series]:
        assert metric == "preflight_model_info"
        infos: tuple[Mapping[str, str], ...] = self.infos  # type: ignore[attr-defined]
        return [
            Series(labels=info, samples=[(at, 1.0)])
            for info in infos
            if all(info.get(name) == value for name, value in labels.items())
        ]


def predictor(api: KubernetesAPI, slot: SlotName, *infos: Mapping[str, str]) -> Predictor:
    return Predictor(slot=slot, engine=engine(api), source=Seen(*infos), model="m")


def test_who_it_is_comes_from_the_specification_and_what_is_scraped(api: KubernetesAPI) -> None:
    infos = [
        {
            "model": "m",
            "version": f"v{digit}",
            "digest": f"sha256:{digit * 64}",
            "verdict": "pass",
            "override": "",
        }
        for digit in "01"
    ]
    assert predictor(api, "blue", *infos).identity().version == "v0"
    assert predictor(api, "green", *infos).identity().version == "v1"
    with pytest.raises(SlotError, match="saw 0 versions"):
        predictor(api, "green", infos[0]).identity()
    with pytest.raises(SlotError, match="saw 2 versions"):
        predictor(api, "green", infos[1], {**infos[1], "version": "v3"}).identity()
    del api.document["spec"]["canary"]
    with pytest.raises(SlotError, match="no canary called green"):
        predictor(api, "green", *infos).identity()


@pytest.mark.parametrize(
    ("where", "value", "told"),
    [
        (("canary", 0, "predictor", "minReplicas"), 0, "none of its pods would run"),
        (("predictor", "minReplicas"), 1, "takes off it"),
        (("predictor", "containers"), [], "names no artifact by digest"),
        (("canary", 0, "predictor", "containers", 0, "args"), ["/m", "--digest", "x:latest"],
         "names no artifact by digest"),
    ],
)  # fmt: skip
def test_what_would_not_serve_is_refused(
    api: KubernetesAPI, where: tuple[Any, ...], value: Any, told: str
) -> None:
    place: Any = api.document["spec"]
    for part in where[:-1]:
        place = place[part]
    place[where[-1]] = value
    with pytest.raises(EngineError, match=told):
        predictor(api, "green").identity()


# whole rollouts -----------------------------------------------------------------------------------------------------


class Gateway:
    """What the traffic of the world follows: the cluster's own shares."""

    def __init__(self, api: KubernetesAPI) -> None:
        self._api = api
        self.up = api.ready

    @property
    def now(self) -> Weights:
        shares = self._api.shares()
        return Weights(blue=shares.get("blue", 0), green=shares.get("green", 0), rescue="blue")


class NoLease:
    """A predictor's pods hold none."""

    until = None

    def renew(self, seconds: float) -> None:
        """Nothing."""

    def drop_lease(self) -> None:
        """Nothing."""


@pytest.fixture
def world(api: KubernetesAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    one: Any = World(tmp_path)
    one.settings = CLUSTER.model_copy(
        update={name: getattr(one.settings, name) for name in CLUSTER.model_fields_set - {"kserve"}}
        | {"directory": tmp_path, "slo_percent": 98.0, "slow_percent": 98.0, "bake_minutes": 8.0}
    )
    one.engine = Gateway(api)
    one.slots = {"blue": NoLease(), "green": NoLease()}
    one.parts = dataclasses.replace(one.parts, engine=engine(api), slots=one.slots)
    one.unscraped.add("proxy")
    one.begin()
    world: World = one
    return world


def test_a_good_candidate_becomes_the_stable_predictor(api: KubernetesAPI, world: World) -> None:
    state = world.live(12 * 3600, every=30)
    assert [event.after for event in state.history] == [
        "planned", "guard-5", "guard-25", "confirm-50", "full", "promoted",
    ]  # fmt: skip
    assert api.shares() == {"green": 100}
    assert "canary" not in api.document["spec"]


@pytest.mark.parametrize(
    ("stage", "what"),
    [("guard-5", "errors"), ("guard-25", "not ready"), ("guard-5", "removed by hand"), ("full", "errors")],
)
def test_a_bad_one_gets_no_traffic_any_more(api: KubernetesAPI, world: World, stage: str, what: str) -> None:
    world.to(stage)
    if what == "errors":
        world.fails["green"] = {"error": 0.3}
    elif what == "not ready":
        api.ready["green"] = False
        api.reconcile()
    else:
        del api.document["spec"]["canary"]
    state = world.live(300)
    assert state.state == "rolled_back", state.reason
    assert api.shares()["blue"] == 100


def test_while_the_cluster_is_gone_nothing_is_decided(api: KubernetesAPI, world: World) -> None:
    world.to("guard-25")
    api.answers = lambda method: (503, b"{}")
    world.fails["green"] = {"error": 0.3}
    assert world.live(120).stage == "guard-25"
    assert "status 503" in world.state().reason
    api.answers = lambda method: None
    assert world.live(300).state == "rolled_back"
    assert api.shares() == {"blue": 100, "green": 0}


def test_a_rollback_that_the_cluster_refuses_is_tried_again(api: KubernetesAPI, world: World) -> None:
    world.to("guard-25")
    api.answers = lambda method: (500, b"{}") if method == "PATCH" else None
    done = roll_back(world.settings, world.parts, world.state(), why="enough", by="somebody", final="aborted")
    assert done.state.state == "rolling_back"
    assert done.trouble
    api.answers = lambda method: None
    world.step()
    assert world.state().state == "aborted"
    assert api.shares()["green"] == 0


def test_a_promotion_that_breaks_off_is_made_good(api: KubernetesAPI, world: World) -> None:
    world.to("full")
    api.before_patch = lambda server: None
    lost = {"patches": 1}

    def stored_but_not_answered(method: str) -> tuple[int, bytes] | None:
        if method == "PATCH" and lost["patches"]:
            lost["patches"] -= 1
            spec = api.document["spec"]
            spec["predictor"] = spec.pop("canary")[0]["predictor"]
            api.reconcile()
            return 504, b"{}"
        return None

    api.answers = stored_but_not_answered
    assert world.live(12 * 3600, every=30).state == "promoted"
    assert api.shares() == {"green": 100}


# settings -----------------------------------------------------------------------------------------------------------

HEAD = 'model = "m"\ndirectory = "d"\nprometheus = "http://p"\nslo_ms = 50\n'


def test_the_file_says_who_moves_the_traffic(tmp_path: Path) -> None:
    path = tmp_path / "rollout.toml"
    path.write_text(f'{HEAD}[kserve]\nnamespace = "models"\nkubeconfig = "kube"\n')
    found = read_settings(path)
    assert isinstance(found, ClusterSettings)
    assert found.kserve.kubeconfig == tmp_path / "kube"
    for wrong in ('shadow = true\n[kserve]\nnamespace = "models"\n', '[kserve]\nnamespace = "Models/x"\n',
                  '[kserve]\nnamespace = "models"\n[haproxy]\nbind = ":1"\n'):  # fmt: skip
        path.write_text(HEAD + wrong)
        with pytest.raises(SettingsError):
            read_settings(path)
