"""The examples of rollouts: what they configure is what the product takes, and what others' schemas take."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.rollout.test_kserve import IMAGE, NEW, OLD, SCHEMAS
from tests.unit.rollout.test_manifests import check
from validator.rollout.settings import ClusterSettings, RolloutSettings, read_settings
from validator.rollout.stages import weights
from validator.rollout.traffic.haproxy_config import configuration
from validator.serving.server.arguments import add_arguments, options_of

ROOT = Path(__file__).resolve().parents[3]
ONE, KUBERNETES = ROOT / "examples/rollout/one-machine", ROOT / "examples/rollout/kubernetes"


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ONE / "compose.yaml").read_text())
    return found


def test_the_documents_workflow_is_the_examples() -> None:
    page = (ROOT / "docs/rollout.md").read_text()
    assert f"```yaml\n{(ONE / 'roll-out.yml').read_text()}```" in page


def test_one_machines_settings_name_what_its_compose_file_runs() -> None:
    settings = read_settings(ONE / "rollout.toml")
    assert isinstance(settings, RolloutSettings)
    services = compose()["services"]
    place = {name: one["networks"]["private"]["ipv4_address"] for name, one in services.items()}
    for name, slot in settings.slots.items():
        assert slot.address == f"{place[name]}:8080"
        assert slot.url == f"http://{slot.address}"
        flags = re.sub(r"\$\{\w+:-\}", "--lease 5m", services[name]["command"]).split()
        assert flags[flags.index("--slo-ms") + 1] == f"{settings.slo_ms:g}"
        assert flags[flags.index("--port") + 1] == "8080"
    assert settings.prometheus == f"http://{place['prometheus']}:9090"
    # The same paths in the containers as on the machine, below the folder of the file.
    mounts = dict(mount.split(":")[:2] for mount in services["rollout"]["volumes"])
    inside = {Path(to).relative_to("/srv/trading"): ONE / at for at, to in mounts.items()}
    assert all(at == ONE / to for to, at in inside.items())
    paths = (settings.directory, settings.haproxy.config.parent, settings.haproxy.socket.parent)
    assert {*paths, settings.slots["blue"].token_file} <= set(inside.values())
    assert services["haproxy"]["command"][-1] == "/srv/trading/proxy/haproxy.cfg"
    assert services["rollout"]["user"].split("?")[0] == services["haproxy"]["user"].split("?")[0], (
        "the socket is the proxy's user's alone"
    )
    assert services["haproxy"]["ports"] == ["8080:8080"]
    assert not any("ports" in service for name, service in services.items() if name != "haproxy")


def test_its_servers_take_their_flags(tmp_path: Path) -> None:
    import argparse

    (tmp_path / "lease").write_text("5ecret" * 4)
    for lease in ("", "--lease 5m"):
        command = re.sub(r"\$\{\w+:-\}", lease, compose()["services"]["green"]["command"])
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        words = command.replace("/run/secrets/lease", str(tmp_path / "lease")).split()
        options = options_of(vars(parser.parse_args(words)))
        assert options.lease_s == (300 if lease else None)
        assert options.lease_token == "5ecret" * 4


@pytest.mark.skipif(
    shutil.which("haproxy") is None and "CI" not in os.environ, reason="not installed: haproxy"
)
@pytest.mark.long
@pytest.mark.drill
def test_haproxy_takes_its_configuration(tmp_path: Path) -> None:
    settings = read_settings(ONE / "rollout.toml")
    assert isinstance(settings, RolloutSettings)
    path = tmp_path / "haproxy.cfg"
    path.write_text(configuration(settings, weights("blue", 5)).replace(f"{ONE}/proxy/", f"{tmp_path}/"))
    result = subprocess.run(["haproxy", "-c", "-f", str(path)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_prometheus_scrapes_servers_proxy_and_rollout() -> None:
    settings = read_settings(ONE / "rollout.toml")
    assert isinstance(settings, RolloutSettings)
    document = yaml.safe_load((ONE / "prometheus.yml").read_text())
    targets = {
        target
        for job in document["scrape_configs"]
        for one in job["static_configs"]
        for target in one["targets"]
    }
    assert targets == {"blue:8080", "green:8080", f"haproxy{settings.haproxy.metrics_bind}", "rollout:9101"}
    assert "0.0.0.0:9101" in compose()["services"]["rollout"]["command"]


def test_the_account_on_kubernetes_may_touch_one_object() -> None:
    settings = read_settings(KUBERNETES / "rollout.toml")
    assert isinstance(settings, ClusterSettings)
    documents = {one["kind"]: one for one in yaml.safe_load_all((KUBERNETES / "rollout.yaml").read_text())}
    (rule,) = documents["Role"]["rules"]
    assert rule == {
        "apiGroups": ["serving.kserve.io"], "resources": ["inferenceservices"],
        "resourceNames": [settings.kserve.service or settings.model], "verbs": ["get", "patch"],
    }  # fmt: skip
    assert documents["RoleBinding"]["roleRef"]["name"] == documents["Role"]["metadata"]["name"]
    assert {one["metadata"]["namespace"] for one in documents.values()} == {settings.kserve.namespace}
    pod = documents["Deployment"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == documents["ServiceAccount"]["metadata"]["name"]
    mounts = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
    assert str(settings.directory) in mounts


def test_the_workflow_on_kubernetes_writes_what_kserve_takes(tmp_path: Path) -> None:
    workflow = yaml.safe_load((KUBERNETES / "roll-out.yml").read_text())
    (job,) = workflow["jobs"].values()
    command = next(step["run"] for step in job["steps"] if "emit" in step.get("run", ""))
    environ = {
        "CONFIG": str(ROOT / job["env"]["CONFIG"]), "IMAGE": IMAGE, "CHAMPION": OLD, "CANDIDATE": NEW,
        "SLOT": "green", "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    line = command.replace("model-preflight", f"{sys.executable} -m validator.cli")
    subprocess.run(["bash", "-e", "-c", line], cwd=tmp_path, env=environ, check=True, timeout=60)
    document = json.loads((tmp_path / "service.json").read_text())
    assert document["spec"]["predictor"]["name"] == "green"
    assert document["spec"]["canary"][0]["trafficPercent"] == 0
    if SCHEMAS:
        check(document)
    for step in job["steps"]:
        assert "${{" not in step.get("run", ""), "expressions belong into `env`: elsewhere they are code"
