"""What others that move traffic are given: manifests for KServe and Argo Rollouts, as plain documents. Pure."""

from __future__ import annotations

import re
from typing import Any, Literal

from validator.errors import UsageError
from validator.rollout.settings import JudgeSettings
from validator.rollout.stages import Stage, stages
from validator.rollout.state import SlotName

Document = dict[str, Any]
KServeMode = Literal["Standard", "Serverless"]

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_IMAGE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._:/-]{0,400}@sha256:[0-9a-f]{64}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?")
#: How long Argo asks in vain before it gives the rollout up: a judge that is away is no failure of the candidate.
_ERRORS = 20


def argo_analysis(settings: JudgeSettings, *, judge: str) -> Document:
    """An AnalysisTemplate that asks `rollout judge --listen` until it says promote or rollback.

    The web provider is used since it can be inconclusive, which a job cannot. Errors of asking are errors, never
    successes; the judge answers `undecided` where it lacks counts, which only a limit on the number of times ends.

    Parameters
    ----------
    judge : str
        The judge's address, such as ``http://judge.models:8085``.
    """
    if not _URL.fullmatch(judge):
        raise UsageError(
            f"{judge!r} is no address of a judge", hint="give one such as http://judge.models:8085"
        )
    interval = 30
    names = ("stage", "share", "champion", "candidate", "run")
    query = "&".join(f"{name}={{{{args.{name}}}}}" for name in names)
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": f"{settings.model}-preflight"},
        "spec": {
            "args": [{"name": name} for name in names],
            "metrics": [
                {
                    "name": "preflight",
                    "interval": f"{interval}s",
                    "consecutiveSuccessLimit": 1,
                    "failureLimit": 0,
                    "inconclusiveLimit": round(settings.deadline_hours * 3600 / interval),
                    "consecutiveErrorLimit": _ERRORS,
                    "successCondition": 'result == "promote"',
                    "failureCondition": 'result == "rollback"',
                    "provider": {
                        "web": {
                            "url": f"{judge.rstrip('/')}/verdict?{query}",
                            "jsonPath": "{$.outcome}",
                            "timeoutSeconds": 20,
                        }
                    },
                }
            ],
        },
    }


def argo_rollout(
    settings: JudgeSettings, *, deployment: str, ingress: str, champion: str, candidate: str
) -> Document:
    """A Rollout of an existing Deployment, whose stages are those of this rollout.

    Parameters
    ----------
    deployment, ingress : str
        Names of the Deployment that it takes over, and of the stable nginx Ingress that splits requests. Without a
        router of requests Argo splits by replicas, and 5 % of two replicas is none or half.
    champion, candidate : str
        Their versions, as in the metrics' label.
    """
    for what, name in (("Deployment", deployment), ("Ingress", ingress)):
        _check(name, _NAME, f"name of a {what}", "a-z, 0-9 and - only")
    steps: list[Document] = []
    for stage in stages(settings):
        if stage.state in ("guard", "confirm"):
            steps += [{"setWeight": stage.share}, _analysis(settings, stage, champion, candidate)]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": settings.model},
        "spec": {
            "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment},
            "selector": {"matchLabels": {"app": settings.model}},
            "progressDeadlineAbort": True,
            "strategy": {
                "canary": {
                    "stableService": f"{settings.model}-stable",
                    "canaryService": f"{settings.model}-canary",
                    "trafficRouting": {"nginx": {"stableIngress": ingress}},
                    "steps": steps,
                }
            },
        },
    }


def _analysis(settings: JudgeSettings, stage: Stage, champion: str, candidate: str) -> Document:
    for version in (champion, candidate):
        _check(
            version,
            _VERSION,
            "version",
            "give it as in the metrics' label, such as v_20261124T200000Z_30b21df5",
        )
    values = {"stage": stage.state, "share": str(stage.share), "champion": champion, "candidate": candidate}
    arguments: list[Document] = [{"name": name, "value": value} for name, value in values.items()]
    # A rollout that is begun again is measured anew: the hash of its pods names it.
    arguments.append({"name": "run", "valueFrom": {"podTemplateHashValue": "Latest"}})
    return {"analysis": {"templates": [{"templateName": f"{settings.model}-preflight"}], "args": arguments}}


def kserve_service(
    settings: JudgeSettings,
    *,
    image: str,
    champion: str,
    candidate: str,
    share: int,
    mode: KServeMode = "Standard",
    slot: SlotName = "blue",
    replicas: int = 1,
) -> Document:
    """An InferenceService with the candidate at a percentage of the traffic.

    In Standard mode (KServe 0.20 and later) that is ``spec.canary``. ``canaryTrafficPercent`` is only written for
    Serverless: everywhere else KServe ignores it silently, and all traffic would go to the candidate at once.

    Parameters
    ----------
    image, champion, candidate : str
        The serving image (`docker build --target serve`) and the images of both artifacts, each by digest.
    share : int
        The candidate's percent, 0 to 100. At 0 its pods run, and get no traffic: so a rollout begins.
    slot : {"blue", "green"}
        The champion's predictor's name, which a promotion changes.
    replicas : int
        Pods of each. KServe takes a canary's off the stable predictor's, so that this one is given both.
    """
    if mode not in ("Standard", "Serverless"):
        raise UsageError(
            f"KServe's mode {mode!r} has no canary that is heeded",
            hint="use Standard (KServe 0.20 or later), or Serverless",
        )
    if isinstance(share, bool) or not isinstance(share, int) or not 0 <= share <= 100:
        raise UsageError(f"{share!r} is no percentage", hint="give a whole number from 0 to 100")
    if slot not in ("blue", "green"):
        raise UsageError(f"{slot!r} is no slot", hint="give blue or green")
    if isinstance(replicas, bool) or not isinstance(replicas, int) or not 1 <= replicas <= 1000:
        raise UsageError(f"{replicas!r} is no number of replicas", hint="give a whole number from 1")
    spec: Document
    if mode == "Serverless":
        predictor = _predictor(settings, image, candidate if share else champion)
        spec = {"predictor": {**predictor, "canaryTrafficPercent": share} if share else predictor}
    else:
        other = "green" if slot == "blue" else "blue"
        stable = {"name": slot, "minReplicas": 2 * replicas, **_predictor(settings, image, champion)}
        canary = {"name": other, "minReplicas": replicas, **_predictor(settings, image, candidate)}
        spec = {"predictor": stable, "canary": [{"predictor": canary, "trafficPercent": share}]}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": settings.model,
            "annotations": {"serving.kserve.io/deploymentMode": mode},
        },
        "spec": spec,
    }


def _predictor(settings: JudgeSettings, image: str, artifact: str) -> Document:
    """A pod of the serving image, which fetches the artifact by its digest and shows that."""
    for reference in (image, artifact):
        _check(reference, _IMAGE, "reference by digest", "a tag can move: give NAME@sha256:…")
    args = ["serve", f"oci://{artifact}", "--host", "0.0.0.0", "--port", "8080"]  # noqa: S104 - in its pod
    return {
        "containers": [
            {
                "name": "kserve-container",
                "image": image,
                "args": [*args, "--slo-ms", f"{settings.slo_ms:g}"],
                "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],  # noqa: S108 - where images are unpacked
                "readinessProbe": {"httpGet": {"path": "/v2/health/ready", "port": 8080}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "runAsNonRoot": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    }


def _check(text: str, pattern: re.Pattern[str], what: str, hint: str) -> None:
    if not pattern.fullmatch(text):
        raise UsageError(f"{text!r} is no {what}", hint=hint)
