"""`rollout judge --listen`: verdicts over HTTP, for whoever moves the traffic and asks before each stage ends."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from validator.errors import PreflightError, UsageError
from validator.listening import listening
from validator.rollout.counts import Arm, Measuring, Source, measure
from validator.rollout.judge.evidence import gathered, written
from validator.rollout.schedule import traffic_today
from validator.rollout.settings import JudgeSettings
from validator.rollout.stages import Stage, requests_planned, rule, stages
from validator.rollout.state import write_whole

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_RUN = re.compile(r"[A-Za-z0-9-]{0,64}")
#: Stages that are remembered: whoever asks for ever new ones gets no more memory.
_MOST = 1000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One stage of one rollout."""

    stage: Stage
    champion: str
    candidate: str
    run: str


@dataclass
class Bench:
    """Judges stages that others run. A stage begins when it is first asked for; a new process begins anew.

    Parameters
    ----------
    settings : JudgeSettings
    source : Source
    """

    settings: JudgeSettings
    source: Source
    _begun: dict[Asked, tuple[float, int, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def verdict(self, query: Mapping[str, str]) -> dict[str, Any]:
        """The verdict on what was asked. Where counts are missing it is `undecided`, with the reason.

        Raises
        ------
        UsageError
            If the question makes no sense.
        """
        asked = self._understood(query)
        with self._lock:
            try:
                return self._judged(asked)
            except PreflightError as error:
                return {"outcome": "undecided", "reason": error.message, "stage": asked.stage.name}

    def _judged(self, asked: Asked) -> dict[str, Any]:
        now = self.source.now()
        champion, candidate = (
            Arm(version=asked.champion, slot="blue"),
            Arm(version=asked.candidate, slot="green"),
        )
        if asked not in self._begun:
            if len(self._begun) >= _MOST:
                self._begun.pop(next(iter(self._begun)))
            today = traffic_today(self.source, self.settings.model, champion, self.settings)
            planned = requests_planned(self.settings, asked.stage, today.shares)
            self._begun[asked] = (now + self.settings.warmup_s, planned, today.interval_s)
        started, planned, interval_s = self._begun[asked]
        measured = measure(
            self.source,
            Measuring(
                model=self.settings.model,
                candidate=candidate,
                champion=champion,
                slo_s=self.settings.slo_ms / 1000,
                window_s=self.settings.window_s,
                proxy=False,
                interval_s=interval_s,
            ),
            started,
            now,
        )
        how = rule(self.settings, asked.stage, planned, measured.window_s)
        evidence = gathered(how, measured.windows)
        name = f"{asked.candidate}-{asked.run or 'run'}-{asked.stage.name}.json"
        write_whole(self.settings.directory / "evidence" / name, written(evidence))
        document = asdict(evidence.verdict)
        if measured.trouble and document["outcome"] == "promote":
            document |= {"outcome": "undecided", "reason": measured.trouble}
        if document["exhausted"] and self.settings.on_deadline == "rollback":
            document |= {"outcome": "rollback", "reason": f"{document['reason']}; that was the last look"}
        return document

    def _understood(self, query: Mapping[str, str]) -> Asked:
        hint = "ask as the manifests of `rollout emit --engine argo` do"
        known = {
            f"{stage.state} {stage.share}": stage for stage in stages(self.settings) if stage.share < 100
        }
        stage = known.get(f"{query.get('stage')} {query.get('share')}")
        if stage is None or stage.state not in ("guard", "confirm"):
            raise UsageError("there is no such stage and share in rollout.toml", hint=hint)
        champion, candidate, run = (query.get(name, "") for name in ("champion", "candidate", "run"))
        if not (_VERSION.fullmatch(champion) and _VERSION.fullmatch(candidate) and _RUN.fullmatch(run)):
            raise UsageError("champion and candidate are versions, run is letters, digits and -", hint=hint)
        return Asked(stage=stage, champion=champion, candidate=candidate, run=run)


def server(bench: Bench, host: str, port: int) -> ThreadingHTTPServer:
    """A server that answers ``GET /verdict?…`` and ``GET /healthz``; not begun yet."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/healthz":
                self._answer(200, {"status": "ok"})
            elif parts.path != "/verdict":
                self._answer(404, {"error": "there is no such path"})
            else:
                try:
                    self._answer(200, bench.verdict(dict(parse_qsl(parts.query, max_num_fields=10))))
                except (UsageError, ValueError) as error:
                    self._answer(400, {"error": str(error)})

        def _answer(self, status: int, document: Mapping[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """What is asked stands in the evidence."""

    return listening(host, port, Handler)
