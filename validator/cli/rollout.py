"""`rollout`: from the first request of a candidate to its promotion, or back."""

from __future__ import annotations

import argparse
import getpass
import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator.cli.actions import add_actions, add_json, print_json
from validator.cli.console import say
from validator.errors import Exit, PreflightError, UsageError

if TYPE_CHECKING:
    from validator.rollout.judge import Verdict
    from validator.rollout.settings import JudgeSettings, LoopSettings, RolloutSettings
    from validator.rollout.state import Rollout, ServedVersion
    from validator.rollout.step import Step

_ACTIONS = {
    "plan": "how long each stage takes at today's traffic, and what difference it can see",
    "start": "begin with the candidate that the free slot serves",
    "step": "one step: read back, judge, move; safe to repeat",
    "run": "step until stopped: the rollout's own process",
    "status": "where the rollout is",
    "wait": "wait for its end",
    "abort": "take the candidate out now",
    "judge": "judge an evidence file again, or answer whoever moves the traffic (--listen)",
    "emit": "write what moves the traffic: HAProxy's configuration, manifests for KServe or Argo Rollouts",
}
EPILOG = """exit codes:
  0  done, promoted or passed
  1  rolled back, aborted or failed
  2  unable: bad usage, unreadable settings, proxy or counts out of reach
  4  undecided, or still under way
"""
ENGINES = ("haproxy", "kserve", "argo")
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions and their flags."""
    for name, sub in add_actions(parser, _ACTIONS, EPILOG):
        if name == "judge":
            sub.add_argument("evidence", nargs="?", metavar="EVIDENCE", help="a file below evidence/")
            sub.add_argument("--listen", metavar="HOST:PORT", help="answer GET /verdict over HTTP")
        sub.add_argument(
            "--config", metavar="FILE", default="rollout.toml", help="settings (default: rollout.toml)"
        )
        if name == "start":
            sub.add_argument("model", nargs="?", metavar="MODEL", help="must be the one of rollout.toml")
            sub.add_argument(
                "--candidate", required=True, metavar="REF@DIGEST", help="what the free slot must serve"
            )
            sub.add_argument("--force", action="store_true", help="begin without a plan, or against it")
        if name in ("start", "wait"):
            sub.add_argument(
                "--wait", dest="span", metavar="TIME", help="wait so long for the end, such as 6h"
            )
            sub.add_argument(
                "--environment", metavar="NAME", help="in a GitHub job: keep a deployment of that environment"
            )
        if name == "run":
            sub.add_argument("--until-ended", action="store_true", help="end with the rollout")
            sub.add_argument(
                "--metrics", metavar="HOST:PORT", help="answer Prometheus' GET /metrics meanwhile"
            )
        if name == "status":
            sub.add_argument("--watch", action="store_true", help="go on showing it until it has ended")
        if name == "abort":
            sub.add_argument("--reason", required=True, metavar="TEXT", help="for the history")
        if name == "emit":
            _add_emit(sub)
        if name in ("start", "step", "status", "wait", "abort"):
            add_json(sub, "rollout.json")
        if name == "plan":
            add_json(sub, "the plan as JSON")


def _add_emit(sub: argparse.ArgumentParser) -> None:
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


def run(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Do what was asked. Returns an exit code."""
    from validator.rollout.settings import read_judge_settings, read_proxy_settings, read_settings

    if flags["action"] == "judge":
        return _judge(flags)
    if flags["action"] == "emit":
        if flags["engine"] == "haproxy":
            return _emit(read_proxy_settings(Path(flags["config"])))
        return _emit_manifests(read_judge_settings(Path(flags["config"])), flags)
    settings = read_settings(Path(flags["config"]))
    by = environ.get("GITHUB_ACTOR") or _user()
    action, as_document = flags["action"], bool(flags.get("json_output"))
    if action == "plan":
        return _plan(settings, json_output=as_document)
    if action == "start":
        return _start(settings, flags, by, environ)
    if action == "step":
        return _step(settings, by, json_output=as_document)
    if action == "run":
        return _run(settings, until_ended=bool(flags.get("until_ended")), metrics=flags.get("metrics"))
    if action == "status":
        return _status(settings, watch=bool(flags.get("watch")), json_output=as_document)
    if action == "wait":
        tell = _told(settings, flags, environ)
        return _wait_for(settings, _span(flags.get("span")), tell, json_output=as_document)
    return _abort(settings, str(flags["reason"]), by, json_output=as_document)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "somebody"


def code_of(state: Rollout, *, trouble: bool = False) -> int:
    """The exit code that a state stands for."""
    if state.state == "promoted":
        return Exit.PASSED
    if state.state in ("rolled_back", "aborted"):
        return Exit.FAILED
    return Exit.UNJUDGED if trouble else Exit.INSUFFICIENT


def _judge(flags: Mapping[str, Any]) -> int:
    from dataclasses import asdict

    from validator.rollout.judge.evidence import judge_again, read_evidence

    if (flags.get("evidence") is None) == (flags.get("listen") is None):
        raise UsageError(
            "either an evidence file or --listen is wanted", hint="see `model-preflight rollout judge --help`"
        )
    if flags.get("listen") is not None:
        return _listen(Path(flags["config"]), str(flags["listen"]))
    verdict: Verdict = judge_again(read_evidence(Path(flags["evidence"])))
    print(json.dumps(asdict(verdict), indent=1))
    return {"promote": Exit.PASSED, "rollback": Exit.FAILED, "undecided": Exit.INSUFFICIENT}[verdict.outcome]


def _listen(config: Path, address: str) -> int:
    from validator.rollout.listen import Bench, server
    from validator.rollout.parts import asking
    from validator.rollout.settings import read_judge_settings

    settings = read_judge_settings(config)
    host, _, port = address.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise UsageError(
            f"{address!r} is no address to listen on", hint="give HOST:PORT, such as 127.0.0.1:8085"
        )
    with (
        asking(settings) as source,
        server(Bench(settings=settings, source=source), host, int(port)) as httpd,
    ):
        print(f"answering on {host or '*'}:{httpd.server_port}", flush=True)
        httpd.serve_forever()
    return Exit.PASSED


def _plan(settings: LoopSettings, *, json_output: bool) -> int:
    from validator.rollout.counts import Arm
    from validator.rollout.parts import opened
    from validator.rollout.schedule import as_lines, document, schedule, traffic_today
    from validator.rollout.start import champion_slot

    with opened(settings) as parts:
        slot = champion_slot(parts.engine.read())
        version = parts.servers[slot].identity().version
        arm = Arm(version=version, slot=slot)
        today = traffic_today(parts.source, settings.model, arm, settings, proxy=settings.proxy_counts)
        plan = schedule(settings, today)
    if json_output:
        print_json(document(plan))
    else:
        print("\n".join(as_lines(plan)))
    if plan.refusal:
        raise UsageError(plan.refusal, hint=plan.advice)
    return Exit.PASSED


def _start(settings: LoopSettings, flags: Mapping[str, Any], by: str, environ: Mapping[str, str]) -> int:
    from validator.rollout.counts import Arm
    from validator.rollout.parts import opened
    from validator.rollout.report import lines
    from validator.rollout.run import shown
    from validator.rollout.schedule import as_lines, schedule, traffic_today
    from validator.rollout.start import start
    from validator.rollout.state import locked
    from validator.rollout.step import Step

    if flags.get("model") not in (None, settings.model):
        raise UsageError(
            f"{flags['config']} is for the model {settings.model}, not {flags['model']}",
            hint="give the configuration of that model by --config",
        )
    span = _span(flags.get("span"))
    if span is None and flags.get("environment") is not None:
        raise UsageError("--environment needs --wait", hint="whoever waits tells GitHub where the rollout is")
    tell, as_document = _told(settings, flags, environ), bool(flags.get("json_output"))
    with opened(settings) as parts, locked(settings.directory):

        def check(champion: ServedVersion) -> None:
            arm = Arm(version=champion.version, slot=champion.slot)
            today = traffic_today(parts.source, settings.model, arm, settings, proxy=settings.proxy_counts)
            plan = schedule(settings, today)
            if not as_document:
                print("\n".join(as_lines(plan)))
            if plan.refusal:
                raise UsageError(plan.refusal, hint=f"{plan.advice}; or begin all the same with --force")

        state = start(
            settings,
            parts,
            parts.servers,
            candidate=flags["candidate"],
            by=by,
            check=None if flags.get("force") else check,
        )
        shown(settings, Step(state=state))
    if span is None or not as_document:
        _show(state, lines(state, None), json_output=as_document)
    return _wait_for(settings, span, tell, json_output=as_document) if span is not None else Exit.PASSED


def _show(state: Rollout, lines: Sequence[str], *, json_output: bool) -> None:
    """The rollout as `rollout.json`, or these lines."""
    from validator.rollout.state import as_json

    say(as_json(state).rstrip("\n") if json_output else "\n".join(lines))


def _show_step(done: Step, *, json_output: bool) -> None:
    """What a step came to; what could not be done is never lost beside a document."""
    from validator.cli.console import complain
    from validator.rollout.report import of_step

    _show(done.state, of_step(done), json_output=json_output)
    for error in done.trouble if json_output else ():
        complain(error)


def _step(settings: LoopSettings, by: str, *, json_output: bool) -> int:
    from validator.rollout.parts import opened
    from validator.rollout.run import one_step

    with opened(settings) as parts:
        done = one_step(settings, parts, by=by)
    if done is None:
        raise _none(settings)
    _show_step(done, json_output=json_output)
    return code_of(done.state, trouble=bool(done.trouble))


def _run(settings: LoopSettings, *, until_ended: bool, metrics: str | None) -> int:
    from contextlib import ExitStack

    from validator.rollout.metrics import METRICS_FILE, served
    from validator.rollout.parts import opened
    from validator.rollout.run import run as run_loop

    teller = _Teller()
    with ExitStack() as stack:
        if metrics is not None:
            stack.enter_context(served(settings.directory / METRICS_FILE, *_host_and_port(metrics)))
        parts = stack.enter_context(opened(settings))
        state = run_loop(settings, parts, tell=teller, pause=time.sleep, until_ended=until_ended)
    return Exit.PASSED if state is None else code_of(state)


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise UsageError(
            f"{address!r} is no address to listen on", hint="give HOST:PORT, such as 127.0.0.1:8085"
        )
    return host, int(port)


class _Teller:
    """Prints what changed: one block a change, not one a step."""

    def __init__(self) -> None:
        self._last: tuple[object, ...] = ()

    def __call__(self, told: Step | PreflightError) -> None:
        from validator.report.escape import clean
        from validator.rollout.report import of_step

        if isinstance(told, PreflightError):
            key: tuple[object, ...] = (told.message,)
            shown = [f"! {clean(told.message, limit=500)}", f"  hint: {clean(told.hint, limit=500)}"]
        else:
            key = (
                told.state.stage,
                told.state.reason,
                told.state.warnings,
                *(error.message for error in told.trouble),
            )
            shown = of_step(told)
        if key != self._last:
            say("\n".join(shown))
            self._last = key


def _status(settings: LoopSettings, *, watch: bool, json_output: bool) -> int:
    from validator.rollout.report import lines
    from validator.rollout.state import read_state
    from validator.rollout.view import last_verdict, watch_rollout

    if watch and json_output:
        raise UsageError("--watch goes on, and --json is one document", hint="leave one of them out")
    state = read_state(settings.directory)
    if state is None:
        raise _none(settings)
    if watch:
        state = watch_rollout(settings, state, pause=time.sleep)
    else:
        _show(state, lines(state, last_verdict(settings, state)), json_output=json_output)
    return code_of(state)


def _told(
    settings: LoopSettings, flags: Mapping[str, Any], environ: Mapping[str, str]
) -> Callable[[Rollout], None]:
    """Whom whoever waits tells of each look: GitHub, where that is wanted, and the job's summary of the end."""
    from validator.cli.rollout_job import Deploying, job_of, summarize
    from validator.rollout.report import LOG_FILE

    environment, summary = flags.get("environment"), environ.get("GITHUB_STEP_SUMMARY")
    deploying = None if environment is None else Deploying(job_of(str(environment), environ), sys.stderr)

    def tell(state: Rollout) -> None:
        if deploying is not None:
            deploying.tell(state)
        if state.is_ended and summary:
            summarize(Path(summary), settings.directory / LOG_FILE, sys.stderr)

    return tell


def _wait_for(
    settings: LoopSettings, span: float | None, tell: Callable[[Rollout], None], *, json_output: bool
) -> int:
    """Until the end, or for so long. What happens to whoever waits changes nothing."""
    from validator.rollout.report import lines
    from validator.rollout.state import read_state
    from validator.rollout.view import last_verdict

    until = None if span is None else time.monotonic() + span
    shown = ""
    while True:
        state = read_state(settings.directory)
        if state is None:
            raise _none(settings)
        if state.stage != shown and not json_output:
            _show(state, lines(state, last_verdict(settings, state)), json_output=False)
            shown = state.stage
        tell(state)
        if state.is_ended or (until is not None and time.monotonic() >= until):
            if json_output:
                _show(state, (), json_output=True)
            return code_of(state)
        time.sleep(min(settings.interval_s, 5.0))


def _abort(settings: LoopSettings, reason: str, by: str, *, json_output: bool) -> int:
    from validator.rollout.parts import opened
    from validator.rollout.run import shown
    from validator.rollout.state import InUseError, locked, read_state
    from validator.rollout.step import roll_back

    for _ in range(50):  # a step of the loop takes a moment
        try:
            with opened(settings) as parts, locked(settings.directory):
                state = read_state(settings.directory)
                if state is None:
                    raise _none(settings)
                if state.is_ended:
                    raise UsageError(
                        f"the rollout has ended already: {state.stage}",
                        hint="see `rollout status` for its history",
                    )
                done = shown(settings, roll_back(settings, parts, state, why=reason, by=by, final="aborted"))
        except InUseError:
            time.sleep(0.2)
        else:
            _show_step(done, json_output=json_output)
            return Exit.PASSED if done.state.state == "aborted" else Exit.UNJUDGED
    raise UsageError(
        "another process holds the rollout for more than ten seconds",
        hint="stop it; in need `echo set weight model/SLOT 0` at HAProxy's socket takes the candidate out at once",
    )


def _emit(settings: RolloutSettings) -> int:
    from validator.rollout.stages import weights
    from validator.rollout.traffic.haproxy_config import configuration

    sys.stdout.write(configuration(settings, weights("blue", 0)))
    return Exit.PASSED


def _emit_manifests(settings: JudgeSettings, flags: Mapping[str, Any]) -> int:
    """JSON, which is YAML too; several documents as one List."""
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
        document = kserve_service(
            settings,
            **{name: flags[name] for name in ("mode", "slot", "replicas")},
            **given("image", "champion", "candidate", "share"),
        )
    else:
        analysis = argo_analysis(settings, **given("judge"))
        rollout = argo_rollout(settings, **given("deployment", "ingress", "champion", "candidate"))
        document = {"apiVersion": "v1", "kind": "List", "items": [analysis, rollout]}
    print(json.dumps(document, indent=2))
    return Exit.PASSED


def _none(settings: LoopSettings) -> UsageError:
    return UsageError(
        f"there is no rollout in {settings.directory}", hint="begin one with `model-preflight rollout start`"
    )


def _span(text: object) -> float | None:
    if text is None:
        return None
    match = _SPAN.fullmatch(str(text))
    if match is None:
        raise UsageError(
            f"{text!r} is no time to wait", hint="give a number and s, m, h or d, such as 90m or 6h"
        )
    return float(match[1]) * _SECONDS[match[2]]
