"""`rollout`: from the first request of a candidate to its promotion, or back."""

from __future__ import annotations

import argparse
import getpass
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator.cli.actions import add_actions, add_json, host_and_port, print_json
from validator.cli.rollout_emit import add_emit, emit
from validator.cli.rollout_view import Teller, code_of, no_rollout, show, show_step
from validator.cli.rollout_wait import seconds_to_wait, told, wait_for
from validator.errors import Exit, UsageError

if TYPE_CHECKING:
    from validator.rollout.judge import Verdict
    from validator.rollout.settings import LoopSettings
    from validator.rollout.state import ServedVersion

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
            add_emit(sub)
        if name in ("start", "step", "status", "wait", "abort"):
            add_json(sub, "rollout.json")
        if name == "plan":
            add_json(sub, "the plan as JSON")


def run(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Do what was asked. Returns an exit code."""
    from validator.rollout.settings import read_settings

    if flags["action"] == "judge":
        return _judge(flags)
    if flags["action"] == "emit":
        return emit(flags)
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
        tell = told(settings, flags, environ)
        return wait_for(settings, seconds_to_wait(flags.get("span")), tell, json_output=as_document)
    return _abort(settings, str(flags["reason"]), by, json_output=as_document)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "somebody"


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
    host, port = host_and_port(address)
    with (
        asking(settings) as source,
        server(Bench(settings=settings, source=source), host, port) as httpd,
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
    span = seconds_to_wait(flags.get("span"))
    if span is None and flags.get("environment") is not None:
        raise UsageError("--environment needs --wait", hint="whoever waits tells GitHub where the rollout is")
    tell, as_document = told(settings, flags, environ), bool(flags.get("json_output"))
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
        show(state, lines(state, None), json_output=as_document)
    return wait_for(settings, span, tell, json_output=as_document) if span is not None else Exit.PASSED


def _step(settings: LoopSettings, by: str, *, json_output: bool) -> int:
    from validator.rollout.parts import opened
    from validator.rollout.run import one_step

    with opened(settings) as parts:
        done = one_step(settings, parts, by=by)
    if done is None:
        raise no_rollout(settings)
    show_step(done, json_output=json_output)
    return code_of(done.state, trouble=bool(done.trouble))


def _run(settings: LoopSettings, *, until_ended: bool, metrics: str | None) -> int:
    from contextlib import ExitStack

    from validator.rollout.metrics import METRICS_FILE, served
    from validator.rollout.parts import opened
    from validator.rollout.run import run as run_loop

    teller = Teller()
    with ExitStack() as stack:
        if metrics is not None:
            stack.enter_context(served(settings.directory / METRICS_FILE, *host_and_port(metrics)))
        parts = stack.enter_context(opened(settings))
        state = run_loop(settings, parts, tell=teller, pause=time.sleep, until_ended=until_ended)
    return Exit.PASSED if state is None else code_of(state)


def _status(settings: LoopSettings, *, watch: bool, json_output: bool) -> int:
    from validator.rollout.report import lines
    from validator.rollout.state import read_state
    from validator.rollout.view import last_verdict, watch_rollout

    if watch and json_output:
        raise UsageError("--watch goes on, and --json is one document", hint="leave one of them out")
    state = read_state(settings.directory)
    if state is None:
        raise no_rollout(settings)
    if watch:
        state = watch_rollout(settings, state, pause=time.sleep)
    else:
        show(state, lines(state, last_verdict(settings, state)), json_output=json_output)
    return code_of(state)


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
                    raise no_rollout(settings)
                if state.is_ended:
                    raise UsageError(
                        f"the rollout has ended already: {state.stage}",
                        hint="see `rollout status` for its history",
                    )
                done = shown(settings, roll_back(settings, parts, state, why=reason, by=by, final="aborted"))
        except InUseError:
            time.sleep(0.2)
        else:
            show_step(done, json_output=json_output)
            return Exit.PASSED if done.state.state == "aborted" else Exit.UNJUDGED
    raise UsageError(
        "another process holds the rollout for more than ten seconds",
        hint="stop it; in need `echo set weight model/SLOT 0` at HAProxy's socket takes the candidate out at once",
    )
