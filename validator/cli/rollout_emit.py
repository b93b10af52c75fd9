"""`rollout emit`: what moves the traffic, written for the engine that does."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator.errors import Exit, UsageError

if TYPE_CHECKING:
    from validator.rollout.settings import JudgeSettings

ENGINES = ("haproxy", "kserve", "argo")


def add_emit(sub: argparse.ArgumentParser) -> None:
    """The flags of `rollout emit`."""
    sub.add_argument("--engine", required=True, choices=ENGINES, metavar="|".join(ENGINES), help="for whom")
    sub.add_argument("--image", metavar="REF@DIGEST", help="kserve: the image that serves")
    sub.add_argument("--champion", metavar="REF", help="kserve: its artifact by digest; argo: its version")
    sub.add_argument("--candidate", metavar="REF", help="kserve: its artifact by digest; argo: its version")
    sub.add_argument(
        "--share", type=int, metavar="PERCENT", help="kserve: the candidate's share of the traffic"
    )
    sub.add_argument(
        "--slot", default="blue", metavar="NAME", help="kserve: the champion's, blue or green (default: blue)"
    )
    sub.add_argument("--replicas", type=int, default=1, metavar="N", help="kserve: pods of each (default: 1)")
    sub.add_argument(
        "--mode",
        default="Standard",
        metavar="MODE",
        help="kserve: Standard or Serverless (default: Standard)",
    )
    sub.add_argument("--judge", metavar="URL", help="argo: where `rollout judge --listen` answers")
    sub.add_argument("--deployment", metavar="NAME", help="argo: the Deployment that it takes over")
    sub.add_argument("--ingress", metavar="NAME", help="argo: the nginx Ingress that splits requests")


def emit(flags: Mapping[str, Any]) -> int:
    """HAProxy's configuration, or manifests as JSON, which is YAML too. Returns an exit code."""
    from validator.rollout.settings import read_judge_settings, read_proxy_settings
    from validator.rollout.stages import weights
    from validator.rollout.traffic.haproxy_config import configuration

    if flags["engine"] == "haproxy":
        settings = read_proxy_settings(Path(flags["config"]))
        sys.stdout.write(configuration(settings, weights("blue", 0)))
    else:
        print(json.dumps(_manifests(read_judge_settings(Path(flags["config"])), flags), indent=2))
    return Exit.PASSED


def _manifests(settings: JudgeSettings, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Several documents as one List."""
    from validator.rollout.traffic.manifests import argo_analysis, argo_rollout, kserve_service

    def given(*names: str) -> dict[str, Any]:
        missing = [name for name in names if flags.get(name) is None]
        if missing:
            raise UsageError(
                f"--engine {flags['engine']} needs --{missing[0]}",
                hint="see `model-preflight rollout emit --help` for what it is",
            )
        return {name: flags[name] for name in names}

    if flags["engine"] == "kserve":
        return kserve_service(
            settings,
            **{name: flags[name] for name in ("mode", "slot", "replicas")},
            **given("image", "champion", "candidate", "share"),
        )
    analysis = argo_analysis(settings, **given("judge"))
    rollout = argo_rollout(settings, **given("deployment", "ingress", "champion", "candidate"))
    return {"apiVersion": "v1", "kind": "List", "items": [analysis, rollout]}
