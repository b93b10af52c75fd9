"""What a wrapper owes beyond answers: to look at what its model answers, to time every call, to tell what it runs.

The wrapper itself says what its figures and metadata are; what it does with a model's nonsense is tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

from validator.checks.check import (
    CheckOutcome,
    Subject,
    failed,
    not_applicable,
    passed,
    run_check,
    seen,
    warned,
)
from validator.results import CheckResult
from validator.runtimes import replies
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.packing import pack_table

_ROWS = 3
_NOTHING = "NaN"
_NO_PROBABILITY = ("1.5", "-0.5")
_SHOWN = 12
#: A flavour of MLflow's has no place to check answers in; its own Python model has.
_FLAVOUR = "serve the model through the shipped Deployment, or log a PythonModel that checks what it answers"
_SAY = "raise an error, mark the answer as not `valid`, or say in answer or metadata that it is a `fallback`"
_COUNTS = ("count", "calls", "n", "samples", "requests")
_TIMES = re.compile(r"mean|avg|average|p\d\d|median|max|quantile|percentile")
_MOMENT = re.compile(r"\d{4}-?[01]\d-?[0-3]\d")

_T = TypeVar("_T", bound=replies.WorkerReply)


def run(runtime: WorkerRuntime, subject: Subject, *, hashes: Sequence[str]) -> list[CheckResult]:
    """Checks `errors.wrong_answer`, `latency.tracking` and `version.metadata` on the user's wrapper.

    `hashes` are the SHA-256 under which the model is known: that of its file, and of the folder around it.
    """
    return [
        run_check("errors.wrong_answer", runtime.name, lambda: _wrong_answer(runtime, subject)),
        run_check("latency.tracking", runtime.name, lambda: _tracking(runtime, subject)),
        run_check("version.metadata", runtime.name, lambda: _metadata(runtime, hashes)),
    ]


def _asked(runtime: WorkerRuntime, kind: type[_T], op: str, subject: Subject | None = None) -> _T:
    """Raises WorkerError where the worker answers in another form."""
    if subject is None:
        told = runtime.worker.call(op).result
    else:
        meta, arrays = pack_table(subject.head(_ROWS))
        told = runtime.worker.call(op, arrays, table=meta).result
    return replies.read(kind, told, runtime.name)


def _wrong_answer(runtime: WorkerRuntime, subject: Subject) -> CheckOutcome:
    """The library is made to answer NaN, then what is no probability: the wrapper must not pass that on."""
    told = _asked(runtime, replies.Sabotage, "sabotage", subject)
    trials = [trial for trial in told.trials if _applies(trial, subject)]
    names = runtime.methods
    passed_on = [
        trial
        for trial in trials
        if trial.error is None and not (trial.unmoved or trial.sound or trial.stated)
    ]
    if passed_on:
        methods = ", ".join(dict.fromkeys(names.get(trial.method, trial.method) for trial in passed_on))
        nonsense = " and ".join(dict.fromkeys(trial.what for trial in passed_on))
        message = f"no output validation: what the model answers is passed on even where it is {nonsense} ({methods})"
        evidence = seen("models made to answer nonsense", ", ".join(told.models)[:1_000])
        return warned(message, evidence, hint=_FLAVOUR) if _is_mlflow(runtime) else failed(message, evidence)
    made_up = [one for one in trials if one.error is None and not one.unmoved and not one.stated]
    if made_up:
        methods = ", ".join(dict.fromkeys(names.get(one.method, one.method) for one in made_up))
        nonsense = " and ".join(dict.fromkeys(one.what for one in made_up))
        message = (
            f"what the model answers is replaced by something made up where it is {nonsense} ({methods})"
        )
        evidence = seen("models made to answer nonsense", ", ".join(told.models)[:1_000])
        return (
            warned(message, evidence, hint=_FLAVOUR)
            if _is_mlflow(runtime)
            else failed(message, evidence, hint=_SAY)
        )
    unmoved = [trial for trial in trials if trial.error is None and trial.unmoved and trial.what == _NOTHING]
    if unmoved or not trials:
        return failed(
            "whether answers are checked cannot be seen: no model was found in the wrapper that could be made to "
            "answer nonsense",
            hint="keep the model in an attribute of the wrapper, or waive this check with a reason",
        )
    errors = sorted({trial.error or "a fallback" for trial in trials})
    return passed(
        f"nonsense from the model ends in {', '.join(errors)}",
        *(
            seen(f"{names.get(one.method, one.method)}, {one.what}", one.error or "a sound answer")
            for one in trials[:_SHOWN]
        ),
    )


def _is_mlflow(runtime: WorkerRuntime) -> bool:
    return runtime.facts.mlflow


def _applies(trial: replies.SabotageTrial, subject: Subject) -> bool:
    """1.5 is nonsense where probabilities belong; a regression may well answer it."""
    return trial.what not in _NO_PROBABILITY or subject.contract.task in ("binary", "multiclass")


def _tracking(runtime: WorkerRuntime, subject: Subject) -> CheckOutcome:
    if _is_mlflow(runtime):
        return not_applicable("an MLflow model is timed by the server that runs it")
    told = _asked(runtime, replies.LatencyGrowth, "track", subject)
    if not told.tracked:
        return failed("no latency tracking: the wrapper tells no latency figures")
    for role, (before, after) in told.growth.items():
        name = runtime.methods.get(role, role)
        if before is None or after is None or (count := _count_of(after)) is None:
            return failed(f"the latency figures hold no count of calls: {', '.join(after or {}) or 'none'}")
        if count <= (_count_of(before) or 0):
            return failed(f"a call to {name} is not counted: {count:g} calls before and after")
        if not any(_TIMES.search(key.lower()) for key in after):
            return failed(f"the latency figures hold no times: {', '.join(after)}")
    return passed(
        "every method's calls are counted and timed",
        *(seen(name, value, volatile=True) for name, value in _last(told).items()),
    )


def _last(told: replies.LatencyGrowth) -> dict[str, float]:
    last = [after for _, after in told.growth.values() if after]
    return dict(list(last[-1].items())[:_SHOWN]) if last else {}


def _count_of(figures: dict[str, float]) -> float | None:
    return next((value for key, value in figures.items() if _words(key) & set(_COUNTS)), None)


def _words(key: str) -> set[str]:
    return set(re.split(r"[^a-z]+", key.lower()))


def _metadata(runtime: WorkerRuntime, hashes: Sequence[str]) -> CheckOutcome:
    """The model's hash, or its first eight digits as in the version, and a time must be in it."""
    told = _asked(runtime, replies.WrapperMetadata, "tell").metadata
    if told is None:
        return failed("no version tracking: the wrapper cannot say which model it runs")
    lacking = [*_lacking(told, hashes)]
    if lacking:
        held = ", ".join(list(told)[:_SHOWN]) or "nothing"
        return failed(f"the metadata holds no {' and no '.join(lacking)}: it holds {held}")
    return passed(
        "the metadata holds the model's hash and a time",
        *(seen(key, text[:500], volatile=True) for key, text in list(told.items())[:_SHOWN]),
    )


def _lacking(told: dict[str, str], hashes: Sequence[str]) -> Iterator[str]:
    texts = list(told.values())
    if not any(digest[:8] in text for digest in hashes for text in texts):
        yield f"hash of the model file ({hashes[0][:8]}...)"
    if not any(_MOMENT.search(text) for text in texts):
        yield "time"
