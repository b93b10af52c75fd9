"""The dashboard as Grafana's own types see it, and the manifests for Kubernetes and compose."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from validator.cli.main import main
from validator.monitoring import compose, dashboard, kubernetes
from validator.monitoring.rule import Watched
from validator.monitoring.rules import document
from validator.rollout.settings import read_settings


def everything(watched: Watched) -> Watched:
    settings = watched.settings.model_copy(update={"rollout": "rollout:9100", "quality": "quality:9101"})
    return Watched(subject=watched.subject, limits=watched.limits, settings=settings)


def test_grafanas_own_types_keep_all_of_it(watched: Watched) -> None:
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins

    register_default_plugins()
    made = json.loads(json.dumps(dashboard.document(everything(watched))))
    kept = json.loads(JSONEncoder().encode(models.Dashboard.from_json(made)))
    lost = list(_lost(made, kept, "dashboard"))
    assert not lost


def _lost(made: Any, kept: Any, where: str) -> list[str]:
    """What is in `made` and not in `kept`: a field that Grafana does not know, or a value of another kind."""
    if isinstance(made, dict):
        if not isinstance(kept, dict):
            return [where]
        missing = [
            f"{where}.{key}" for key in made if key not in kept and made[key] not in (None, [], {}, False)
        ]
        return missing + [
            found for key in made if key in kept for found in _lost(made[key], kept[key], f"{where}.{key}")
        ]
    if isinstance(made, list):
        if len(made) != len(kept):
            return [where]
        return [
            one
            for i, pair in enumerate(zip(made, kept, strict=True))
            for one in _lost(*pair, f"{where}[{i}]")
        ]
    return [] if made == kept else [f"{where}: {made!r} became {kept!r}"]


def test_panels_do_not_overlap(watched: Watched) -> None:
    places = [panel["gridPos"] for panel in dashboard.document(everything(watched))["panels"]]
    assert all(one["x"] >= 0 and one["x"] + one["w"] <= 24 for one in places)
    for a, b in itertools.combinations(places, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert apart or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]


def test_panels_of_rollout_and_quality_are_there_where_those_are(watched: Watched) -> None:
    few = {panel["title"] for panel in dashboard.document(watched)["panels"]}
    many = {panel["title"] for panel in dashboard.document(everything(watched))["panels"]}
    assert many - few == {"Traffic by role", "Live quality"}


def test_kubernetes_gets_the_same_rules(watched: Watched) -> None:
    monitor, rule = kubernetes.manifests(watched)["items"]
    assert rule["spec"]["groups"] == document(watched)["groups"]
    assert rule["metadata"]["name"] == monitor["metadata"]["name"] == "preflight-churn"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["relabelings"][0]["replacement"] == watched.job
    for group in rule["spec"]["groups"]:
        assert set(group) <= {"name", "interval", "rules"}
        for one in group["rules"]:
            assert set(one) <= {"alert", "record", "expr", "for", "labels", "annotations"}


@pytest.mark.parametrize(
    ("model", "name"), [("Churn_v2.1", "churn-v2-1"), ("___", "model"), ("a" * 80, "a" * 50)]
)
def test_names_become_kubernetes_names(model: str, name: str) -> None:
    assert kubernetes.resource_name(model) == name


def test_compose_writes_the_whole(artifact: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    assert main(["monitor", "init", "--artifact", str(artifact), "--out", str(out), "--compose"]) == 0
    document = yaml.safe_load((out / "compose.yaml").read_text())
    assert set(document["services"]) == {
        "proxy", "blue", "green", "rollout", "prometheus", "alertmanager", "grafana"
    }  # fmt: skip
    for name, service in document["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert set(service["networks"]) <= set(document["networks"])
        for volume in service.get("volumes", []):
            source = volume["source"] if isinstance(volume, dict) else volume.partition(":")[0]
            assert source.startswith(("./", "${")) or source in document["volumes"]
            if source.startswith("./"):
                assert (out / source).exists(), source
    settings = read_settings(out / "rollout" / "rollout.toml")
    assert settings.model == "churn"
    assert settings.slots["blue"].address == "blue:8080"
    assert "server blue blue:8080" in (out / "rollout" / "haproxy" / "haproxy.cfg").read_text()
    targets = yaml.safe_load((out / "targets" / "churn.yml").read_text())
    assert targets[0]["targets"] == ["blue:8080", "green:8080"]


def test_a_path_with_a_dollar_is_no_variable(watched: Watched, tmp_path: Path) -> None:
    services = compose.document(watched, tmp_path / "a$B", "1.2.3")["services"]
    assert services["blue"]["volumes"][0]["source"].endswith("a$$B}")
    assert services["blue"]["image"].endswith("-serve:1.2.3}")


def test_compose_and_a_rollout_of_ones_own_contradict(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "rollout.toml").write_text(
        'model = "churn"\ndirectory = "d"\nprometheus = "http://p:9090"\nslo_ms = 50\n'
        '[slots.blue]\naddress = "b:1"\nurl = "http://b:1"\n[slots.green]\naddress = "g:1"\nurl = "http://g:1"\n'
        '[haproxy]\nconfig = "c"\nsocket = "s"\nbind = ":1"\nmetrics_bind = ":2"\n'
    )
    more = ["--rollout", str(tmp_path / "rollout.toml")]
    out = ["--out", str(tmp_path / "m")]
    assert main(["monitor", "init", "--artifact", str(artifact), *out, "--compose", *more]) == 2
    assert main(["monitor", "init", "--artifact", str(artifact), *out, *more]) == 0
    targets = yaml.safe_load((tmp_path / "m" / "targets" / "churn.yml").read_text())
    assert targets[0]["targets"] == ["b:1", "g:1"]
