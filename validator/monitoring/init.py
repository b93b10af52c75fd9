"""What `monitor init` writes, as files by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from validator.monitoring import scraping
from validator.monitoring.budget import Budget, budget
from validator.monitoring.files import as_yaml
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


def make(options: Options) -> Made:
    """Everything that is asked for, from the artifact and the settings; nothing is written.

    Raises
    ------
    ArtifactError, SettingsError
        If the artifact or a settings file cannot be read or do not fit, or more series come of it than allowed.
    """
    watched, _ = watch(options)
    return Made(
        watched=watched,
        files=basic_files(watched),
        budget=budget(watched),
        unheard=tuple(scraping.unheard(watched.settings)),
    )


def watch(options: Options) -> tuple[Watched, RolloutSettings | None]:
    """What is watched, by the settings in force."""
    subject: Subject = read_subject(options.artifact, override=options.override)
    settings = read_settings(options.config)
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
