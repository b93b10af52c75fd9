"""The whole way with `model-preflight serve` itself behind the proxy: real artifacts, real requests."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.drill import drilled
from tests.rollout.site import SLO_S, TOOLS, Site, site
from tests.unit.serving.conftest import contract_of, features, logistic_graph, result_of
from validator.artifact.write import write_artifact
from validator.rollout.slots import SlotServer

pytestmark = drilled(TOOLS)
NAMES = ("f0", "f1", "f2", "f3")
#: NaN where the logit is below -2, which no golden request is.
SOMETIMES_NAN = [
    ("Add", ["raw", "two"], ["above"], {}),
    ("Sqrt", ["above"], ["root"], {}),
    ("Sub", ["root", "root"], ["nothing"], {}),
    ("Add", ["p", "nothing"], ["probabilities"], {}),
]


def artifact(folder: Path, day: int, onnx: bytes) -> Path:
    """The folder of an artifact of its own version, as the gate writes it."""
    contract = contract_of(features(*NAMES, minimum=-3.0, maximum=3.0))
    result = result_of(contract)
    result = result_of(contract, version=f"v_202511{day:02}T093000Z_{result.model.sha256[:8]}")
    return Path(write_artifact(folder, result=result, onnx=onnx, report_md="# R\n").path)


def request() -> bytes:
    """One row."""
    tensors = [
        {"name": name, "datatype": "FP64", "shape": [1], "data": [random.uniform(-2, 2)]} for name in NAMES
    ]
    return json.dumps({"inputs": tensors}).encode()


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("artifacts")
    return {
        "champion": artifact(folder, 1, logistic_graph()),
        "good": artifact(folder, 2, logistic_graph()),
        "sometimes NaN": artifact(folder, 3, logistic_graph(tail=SOMETIMES_NAN)),
    }


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as one:
        one.path, one.body = "/v2/models/m/infer", request
        yield one


def begin(one: Site, champion: Path, candidate: Path) -> None:
    """Both served for real, the candidate under a lease."""
    serve = ("-m", "validator.cli", "serve")
    common = ("--slo-ms", str(SLO_S * 1000), "--drain", "0s")
    one.served = {
        "blue": (*serve, str(champion), "--port", str(one.ports["blue"]), *common),
        "green": (*serve, str(candidate), "--port", str(one.ports["green"]), "--lease", "60s", *common),
    }
    one.reset(model="m")
    with httpx.Client() as client:
        server = SlotServer(name="green", slot=one.settings.slots["green"], client=client)
        one.candidate_digest = f"sha256:{server.identity().digest.removeprefix('sha256:')}"
    one.start()
    one.command("run", "--until-ended", name="run")


def test_a_good_version_is_promoted(place: Site, artifacts: dict[str, Path]) -> None:
    begin(place, artifacts["champion"], artifacts["good"])
    assert place.reaches("promoted", "rolled_back", seconds=200).state == "promoted"
    assert not place.lost()
    assert {status for _, status in place.answers} == {200}


def test_a_version_that_answers_nan_is_rolled_back(place: Site, artifacts: dict[str, Path]) -> None:
    begin(place, artifacts["champion"], artifacts["sometimes NaN"])
    state = place.reaches("promoted", "rolled_back", seconds=120)
    assert state.state == "rolled_back"
    assert state.history[-1].why.startswith("error")
    assert not place.lost()
