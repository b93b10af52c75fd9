"""`monitor init` as a user meets it: what it writes from an artifact, what it says, and what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from validator.cli.main import main

needs_amtool = pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not on this machine")
EVERYTHING = """
slo_percent = 99.9
retrain_after_days = 30
targets = ["a:8080", "b:8080"]
proxy = "proxy:8404"
rollout = "rollout:9100"
replicas = 2
[webhook]
url = "http://relay:9000/hook"
token_file = "/run/secrets/relay"
[email]
to = "ml@example.com"
sender = "alerts@example.com"
smarthost = "mail.example.com:587"
username = "alerts"
password_file = "/run/secrets/mail"
[slack]
url_file = "/run/secrets/slack"
channel = "#models"
[watchdog]
url = "https://watch.example.com/ping"
"""


def init(artifact: Path, out: Path, *more: str) -> int:
    return main(["monitor", "init", "--artifact", str(artifact), "--out", str(out), *more])


def config(tmp_path: Path, text: str) -> tuple[str, str]:
    (tmp_path / "monitor.toml").write_text(text)
    return "--config", str(tmp_path / "monitor.toml")


def test_it_writes_everything_and_says_what_it_costs(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(artifact, tmp_path / "m") == 0
    told = capsys.readouterr().out
    assert "99.5 % answered well, 99 % within 50 ms" in told
    assert " series: 2 versions x (1 replicas x " in told
    assert "! nobody is told of alerts" in told
    assert "! nobody would notice that Prometheus stopped" in told
    names = {path.relative_to(tmp_path / "m").as_posix() for path in (tmp_path / "m").rglob("*.yml")}
    assert names >= {"prometheus.yml", "alertmanager.yml", "rules/churn.yml", "targets/churn.yml"}
    assert len([name for name in names if name.startswith("rules/tests/")]) == 6
    assert init(artifact, tmp_path / "m", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert {one["became"] for one in made["files"]} == {"unchanged"}
    assert names <= {one["name"] for one in made["files"]}
    assert (made["model"], made["slo_percent"], made["slow_percent"]) == ("churn", 99.5, 99.0)
    assert made["series"] > 0 < made["memory_mb"]
    assert "nobody is told of alerts" in made["unheard"][0]


def test_a_changed_rule_stays_and_the_command_says_so(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(artifact, tmp_path / "m") == 0
    path = tmp_path / "m" / "rules" / "churn.yml"
    mine = path.read_text().replace("for: 1h", "for: 2h")
    path.write_text(mine)
    assert init(artifact, tmp_path / "m") == 0
    assert "yours, left" in capsys.readouterr().out
    assert init(artifact, tmp_path / "m", "--slo", "99.9%") == 1
    told = capsys.readouterr().out
    assert "YOURS, and there is something new; left" in told
    assert "-    for: 2h" in told
    assert '+      and preflight:error:ratio5m{model="churn"} > 0.0144' in told
    assert path.read_text() == mine


def test_limits_come_from_the_settings(artifact: Path, tmp_path: Path) -> None:
    assert init(artifact, tmp_path / "m", *config(tmp_path, EVERYTHING)) == 0
    rules = (tmp_path / "m" / "rules" / "churn.yml").read_text()
    assert "> 0.0144" in rules
    assert str(30 * 86400) in rules
    targets = yaml.safe_load((tmp_path / "m" / "targets" / "churn.yml").read_text())
    assert [one["labels"]["job"] for one in targets] == [
        "preflight-churn", "preflight-churn-proxy", "preflight-churn-rollout"
    ]  # fmt: skip


@needs_amtool
@pytest.mark.parametrize("text", ["", EVERYTHING], ids=["nobody", "everybody"])
def test_prometheus_and_alertmanager_take_their_configurations(
    artifact: Path, tmp_path: Path, text: str
) -> None:
    assert init(artifact, tmp_path / "m", *config(tmp_path, text)) == 0
    for command in (
        ["promtool", "check", "config", "prometheus.yml"],
        ["amtool", "check-config", "alertmanager.yml"],
    ):
        done = subprocess.run(
            command, cwd=tmp_path / "m", capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("slo_percent = 50", "slo_percent"),
        ("slow = 1", "slow: Extra inputs"),
        ('[webhook]\nurl = "http://user:secret@host/"', "no user and password in an address"),
        ('[slack]\nurl_file = "relative"\nchannel = "#a"', "absolute path"),
        ('[email]\nto = "a@b.c, d@e.f"\nsender = "a@b.c"\nsmarthost = "h:1"', "one e-mail address"),
        ('targets = ["http://a"]', "host:port is wanted"),
        ("max_series = 200", "more than max_series = 200"),
        ("targets = 1 =", "is no TOML"),
    ],
)
def test_wrong_settings_are_refused_by_name_and_nothing_is_written(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    assert init(artifact, tmp_path / "m", *config(tmp_path, text)) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("slo", ["94", "100", "high"])
def test_what_cannot_be_promised_is_refused(artifact: Path, tmp_path: Path, slo: str) -> None:
    assert init(artifact, tmp_path / "m", "--slo", slo) == 2


def test_a_rollout_of_another_model_is_refused(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rollout.toml").write_text(
        'model = "other"\ndirectory = "d"\nprometheus = "http://p:9090"\nslo_ms = 50\n'
    )
    assert init(artifact, tmp_path / "m", "--rollout", str(tmp_path / "rollout.toml")) == 2
    assert "is for the model other" in capsys.readouterr().err


def test_an_artifact_without_a_profile_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make_plain: Callable[[], Path]
) -> None:
    assert init(make_plain(), tmp_path / "m") == 2
    assert "holds no profile.json" in capsys.readouterr().err


@pytest.fixture
def make_plain(tmp_path: Path) -> Callable[[], Path]:
    from tests.unit.serving.conftest import contract_of, features, logistic_graph, result_of
    from validator.artifact.write import write_artifact

    def make() -> Path:
        result = result_of(contract_of(features("f0", "f1", "f2", "f3")))
        return Path(
            write_artifact(tmp_path / "a", result=result, onnx=logistic_graph(), report_md="# R\n").path
        )

    return make


def test_two_models_share_a_folder(artifact: Path, artifact_of: Callable[..., Path], tmp_path: Path) -> None:
    other = artifact_of(tmp_path / "a", name="other", names=("x", "y"))
    assert init(artifact, tmp_path / "m") == 0
    assert init(other, tmp_path / "m") == 0
    assert {path.name for path in (tmp_path / "m" / "rules").glob("*.yml")} == {"churn.yml", "other.yml"}
