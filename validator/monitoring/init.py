"""What `monitor init` writes, as files by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from validator.errors import UsageError
from validator.monitoring import compose, dashboard, kubernetes, scraping
from validator.monitoring.budget import Budget, budget
from validator.monitoring.files import Outcome, as_json, as_yaml
from validator.monitoring.rule import Watched
from validator.monitoring.rule_tests import documents
from validator.monitoring.rules import document
from validator.monitoring.settings import read_settings, with_rollout
from validator.monitoring.subject import Subject, read_subject
from validator.rollout.settings import RolloutSettings

_ABOUT = (
    "Made by `model-preflight monitor init`{}. Changes of yours stay when it is run again, and are shown."
)


@dataclass(frozen=True, kw_only=True)
class Made:
    """The files, what they cost, and what nobody would hear."""

    watched: Watched
    files: dict[str, str]
    budget: Budget
    unheard: tuple[str, ...]


def summary(made: Made, outcomes: Sequence[Outcome]) -> dict[str, object]:
    """What `monitor init --json` prints: what was promised, what it costs, and what became of each file."""
    limits, subject = made.watched.limits, made.watched.subject
    return {
        "schema_version": 1,
        "model": subject.model,
        "version": subject.version,
        "slo_percent": limits.slo_percent,
        "slow_percent": limits.slow_percent,
        "slo_ms": limits.slo_ms,
        "series": made.budget.total,
        "memory_mb": round(made.budget.memory_mb, 1),
        "disk_mb": round(made.budget.disk_mb, 1),
        "files": [asdict(one) for one in outcomes],
        "unheard": list(made.unheard),
    }


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user asked for, as the command's flags name it."""

    artifact: str
    config: Path | None = None
    rollout: Path | None = None
    slo_percent: float | None = None
    override: str | None = None
    kubernetes: bool = False
    compose: bool = False
    release: str = "latest"


def make(options: Options) -> Made:
    """Everything that is asked for, from the artifact and the settings; nothing is written.

    Raises
    ------
    ArtifactError, SettingsError
        If the artifact or a settings file cannot be read or do not fit, or more series come of it than allowed.
    """
    watched, rollout = watch(options)
    files = basic_files(watched) | dashboard_files(watched)
    if options.kubernetes:
        about = _ABOUT.format(f" from {watched.subject.model} {watched.subject.version}")
        name = f"kubernetes/{watched.subject.model}.yml"
        files[name] = as_yaml(kubernetes.manifests(watched), about=about)
    if options.compose:
        if rollout is not None:
            raise UsageError(
                "--compose brings a rollout.toml of its own, and --rollout names another",
                hint="give one of them",
            )
        files |= compose_files(watched, Path(options.artifact), options.release)
    return Made(
        watched=watched,
        files=files,
        budget=budget(watched),
        unheard=tuple(scraping.unheard(watched.settings)),
    )


def watch(options: Options) -> tuple[Watched, RolloutSettings | None]:
    """What is watched, by the settings in force."""
    subject: Subject = read_subject(options.artifact, override=options.override)
    settings = read_settings(options.config)
    if options.compose:
        settings = compose.on_network(settings)
    if options.slo_percent is not None:
        settings = settings.model_copy(update={"slo_percent": options.slo_percent})
    settings, limits, rollout = with_rollout(
        settings, options.rollout, model=subject.model, profile_slo_ms=subject.profile.slo_ms
    )
    return Watched(subject=subject, limits=limits, settings=settings), rollout


def basic_files(watched: Watched) -> dict[str, str]:
    """Prometheus' and Alertmanager's configuration, rules, and the rules' tests."""
    model = watched.subject.model
    about = _ABOUT.format("")
    of_model = _ABOUT.format(f" from {model} {watched.subject.version}")
    files = {
        "prometheus.yml": as_yaml(scraping.prometheus(watched.settings), about=about),
        "alertmanager.yml": as_yaml(scraping.alertmanager(watched.settings), about=about),
        f"targets/{model}.yml": as_yaml(scraping.targets(watched), about=about),
        f"rules/{model}.yml": as_yaml(document(watched), about=of_model),
    }
    for ending, tests in documents(watched, rules=f"../{model}.yml").items():
        files[f"rules/tests/{model}{ending}.yml"] = as_yaml(tests, about=of_model)
    return files


def dashboard_files(watched: Watched) -> dict[str, str]:
    """Grafana's dashboard, and how Grafana finds it."""
    about = _ABOUT.format("")
    files = {f"grafana/dashboards/{watched.subject.model}.json": as_json(dashboard.document(watched))}
    for name, document_ in dashboard.provisioning(watched.settings.prometheus).items():
        files[f"grafana/provisioning/{name}"] = as_yaml(document_, about=about)
    return files


def compose_files(watched: Watched, artifact: Path, release: str) -> dict[str, str]:
    """compose.yaml, the rollout's settings, and the proxy's first configuration."""
    settings = compose.rollout_toml(watched)
    return {
        "compose.yaml": as_yaml(compose.document(watched, artifact, release), about=_ABOUT.format("")),
        "rollout/rollout.toml": settings,
        "rollout/haproxy/haproxy.cfg": compose.first_haproxy(settings),
    }
