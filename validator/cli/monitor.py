"""`monitor`: rules, alerts, dashboard and history of a model that serves, made from its artifact."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator import __version__
from validator.cli.actions import add_actions, add_json, host_and_port, print_json
from validator.cli.console import say
from validator.durations import seconds_of
from validator.errors import Exit, UsageError
from validator.whole_file import whole_file

if TYPE_CHECKING:
    from validator.monitoring.check import Finding
    from validator.monitoring.files import Outcome
    from validator.monitoring.init import Made
    from validator.monitoring.maintenance import Maintenance
    from validator.monitoring.quality import LiveQuality

_ACTIONS = {
    "init": "write rules with their tests, configurations, a dashboard; for compose or Kubernetes if asked",
    "check": "run promtool and amtool on it, and ask a Prometheus whether every query returns something",
    "page": "one web page of a model's history, from Prometheus",
    "quality": "live quality, from logged predictions and true answers that came later",
    "maintain": "whether the model is due for training, and what to train with",
}
EPILOG = """exit codes:
  0  done, all is as it should be
  1  something is not: a rule's test fails, a query returns nothing, a file of
     yours is not the newest, quality is worse than judged, a model is due
  2  unable: bad usage, unreadable artifact or settings
  4  nothing speaks against it, and not all could be looked at or compared
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions and their flags."""
    for name, sub in add_actions(parser, _ACTIONS, EPILOG):
        _ARGUMENTS[name](sub)
        add_json(sub, "quality.json" if name == "quality" else "what was found as JSON")


def _init_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--artifact", required=True, metavar="DIR", help="the artifact of the model")
    sub.add_argument("--config", metavar="FILE", help="monitor.toml (default: that of this folder, if there)")
    sub.add_argument(
        "--rollout", metavar="FILE", help="rollout.toml of the same model: its limits, slots and proxy"
    )
    sub.add_argument("--slo", metavar="PERCENT", help="share that must be answered well, such as 99.5%%")
    sub.add_argument(
        "--out", metavar="DIR", default="monitoring", help="folder to write (default: monitoring)"
    )
    sub.add_argument(
        "--compose", action="store_true", help="compose.yaml of the whole: proxy, slots, rollout, Grafana"
    )
    sub.add_argument("--kubernetes", action="store_true", help="ServiceMonitor and PrometheusRule")
    sub.add_argument("--override", metavar="REASON", help="for an artifact that failed the gate, and say why")


def _check_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "folder",
        nargs="?",
        default="monitoring",
        metavar="DIR",
        help="what `init` wrote (default: monitoring)",
    )
    sub.add_argument("--prometheus", metavar="URL", help="ask it for every series of rules and dashboards")


def _page_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--prometheus", required=True, metavar="URL", help="address of Prometheus")
    sub.add_argument("--model", metavar="NAME", help="its label in the metrics (default: the only one)")
    sub.add_argument(
        "--last", metavar="TIME", default="7d", help="how far back, such as 24h or 30d (default: 7d)"
    )
    sub.add_argument("--config", metavar="FILE", help="monitor.toml (default: that of this folder, if there)")
    sub.add_argument("--rollout", metavar="FILE", help="rollout.toml of the same model: its limits")
    sub.add_argument(
        "--out", metavar="FILE", default="monitor.html", help="page to write (default: monitor.html)"
    )
    sub.add_argument("--serve", metavar="HOST:PORT", help="answer with a fresh page instead, until stopped")
    sub.add_argument(
        "--quality", metavar="FILE", help="with --serve: quality.prom, which GET /metrics shows to Prometheus"
    )


def _quality_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("log", metavar="LOG", help="the folder that `serve --log` writes")
    sub.add_argument("--labels", required=True, metavar="DATA", help="true answers by prediction id")
    sub.add_argument(
        "--target", required=True, metavar="COLUMN", help="the column that holds the true answer"
    )
    sub.add_argument(
        "--id", default="preflight_id", metavar="COLUMN", help="the prediction's id (default: preflight_id)"
    )
    sub.add_argument("--artifact", required=True, metavar="DIR", help="the artifact that serves")
    sub.add_argument(
        "--out", metavar="DIR", default="quality", help="for quality.prom, .json and .html (default: quality)"
    )
    sub.add_argument("--override", metavar="REASON", help="for an artifact that failed the gate, and say why")


def _maintain_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--prometheus", required=True, metavar="URL", help="address of Prometheus")
    sub.add_argument("--model", metavar="NAME", help="its label in the metrics (default: the only one)")
    sub.add_argument("--last", metavar="TIME", default="30d", help="how far back (default: 30d)")
    sub.add_argument("--quality", metavar="FILE", help="quality.json of `monitor quality`")
    sub.add_argument("--config", metavar="FILE", help="monitor.toml (default: that of this folder, if there)")
    sub.add_argument(
        "--out",
        metavar="DIR",
        default="maintenance",
        help="for maintenance.md and .html (default: maintenance)",
    )


_ARGUMENTS = {
    "init": _init_arguments,
    "check": _check_arguments,
    "page": _page_arguments,
    "quality": _quality_arguments,
    "maintain": _maintain_arguments,
}


def run(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Do what was asked. Returns an exit code."""
    if flags["action"] == "maintain":
        return _maintain(flags, environ)
    return _RUN[flags["action"]](flags)


def _init(flags: Mapping[str, Any]) -> int:
    from validator.monitoring.files import write_files
    from validator.monitoring.init import Options, make, summary

    made = make(
        Options(
            artifact=flags["artifact"],
            config=_config(flags),
            rollout=Path(flags["rollout"]) if flags.get("rollout") else None,
            slo_percent=_percent(flags.get("slo")),
            override=flags.get("override"),
            compose=bool(flags.get("compose")),
            release=__version__,
            kubernetes=bool(flags.get("kubernetes")),
        )
    )
    outcomes = write_files(Path(flags["out"]), made.files)
    if flags.get("json_output"):
        print_json(summary(made, outcomes))
    else:
        _show(made, outcomes, Path(flags["out"]))
    return Exit.FAILED if any(one.became == "differs" for one in outcomes) else Exit.PASSED


def _config(flags: Mapping[str, Any]) -> Path | None:
    from validator.monitoring.settings import CONFIG_NAME

    if flags.get("config"):
        return Path(flags["config"])
    return Path(CONFIG_NAME) if Path(CONFIG_NAME).exists() else None


def _percent(text: object) -> float | None:
    if text is None:
        return None
    try:
        value = float(str(text).removesuffix("%"))
    except ValueError:
        value = 0.0
    if not 95 <= value < 100:
        raise UsageError(
            f"{text!r} cannot be promised", hint="give 95 or more and less than 100, such as 99.5%"
        )
    return value


def _show(made: Made, outcomes: list[Outcome], out: Path) -> None:
    from validator.monitoring.budget import lines
    from validator.report.escape import clean

    limits = made.watched.limits
    say(
        f"{made.watched.subject.model} {made.watched.subject.version}: {limits.slo_percent:g} % answered well, "
        f"{limits.slow_percent:g} % within {limits.slo_ms:g} ms"
    )
    say("\n".join(lines(made.budget)))
    for one in outcomes:
        said = {"yours": "yours, left", "differs": "YOURS, and there is something new; left"}
        say(f"  {said.get(one.became, one.became)}: {out / one.name}")
        for line in one.difference:
            say(f"    {clean(line, limit=200)}")
    for line in made.unheard:
        say(f"! {line}")
    if any(one.became == "differs" for one in outcomes):
        say("Take over what you want of it, or remove the file and run this again.")


def _check(flags: Mapping[str, Any]) -> int:
    from validator.monitoring.check import check_files, check_queries, document
    from validator.prometheus import address, prometheus_at

    folder = Path(flags["folder"])
    url = address(flags["prometheus"]) if flags.get("prometheus") else None
    found: list[Finding] = []

    def take(findings: Iterator[Finding]) -> None:
        for one in findings:
            found.append(one)
            if not flags.get("json_output"):
                _tell(one)

    take(check_files(folder))
    if url is not None:
        with prometheus_at(url) as prometheus:
            take(check_queries(folder, prometheus.instant, prometheus.unevaluated))
    wrong = sum(one.ok is False for one in found)
    if flags.get("json_output"):
        print_json(document(found))
    else:
        say(f"FAIL  {wrong} wrong" if wrong else "ok    all is well")
    return Exit.FAILED if wrong else Exit.PASSED


def _tell(one: Finding) -> None:
    from validator.report.escape import clean

    mark = {True: "ok  ", False: "FAIL", None: "?   "}[one.ok]
    told = f": {one.told}" if one.told and one.ok is not False else ""
    say(f"  {mark}  {clean(one.what, limit=400)}{told}")
    for line in one.told.splitlines() if one.ok is False else ():
        say(f"        {clean(line, limit=400)}")


def _page(flags: Mapping[str, Any]) -> int:
    from validator.monitoring.gather import document
    from validator.monitoring.live import Page, serve
    from validator.monitoring.settings import read_settings
    from validator.prometheus import address, prometheus_at

    page = Page(
        url=address(flags["prometheus"]),
        model=flags.get("model"),
        seconds=_span(flags["last"]),
        settings=read_settings(_config(flags)),
        rollout=Path(flags["rollout"]) if flags.get("rollout") else None,
    )
    if flags.get("serve"):
        if flags.get("json_output"):
            raise UsageError("--serve answers with pages, not with JSON", hint="leave one of them out")
        host, port = host_and_port(flags["serve"])
        quality = Path(flags["quality"]) if flags.get("quality") else None
        with serve(page, host, port, quality=quality) as httpd:
            print(f"answering on http://{host or '*'}:{httpd.server_port}/", flush=True)
            httpd.serve_forever()
        return Exit.PASSED
    with prometheus_at(page.url) as prometheus:
        seen = page.seen(prometheus)
    _write(Path(flags["out"]), page.drawn(seen))
    if flags.get("json_output"):
        print_json(document(seen) | {"page": flags["out"]})
    else:
        print(f"Page: {flags['out']}")
    return Exit.PASSED


def _write(path: Path, text: str) -> None:
    """A whole file or none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as staged:
            staged.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", hint="choose another --out"
        ) from error


def _quality(flags: Mapping[str, Any]) -> int:
    from validator.monitoring import quality_page
    from validator.monitoring.quality import Options, as_json, exposition, measure_live

    names = ("log", "labels", "artifact", "target", "id", "override")
    found = measure_live(Options(**{name: flags[name] for name in names if name in flags}), now=time.time())
    out = Path(flags["out"])
    for name, text in (
        ("quality.json", as_json(found)),
        ("quality.html", quality_page.render(found)),
        ("quality.prom", exposition(found)),
    ):
        _write(out / name, text)
    if flags.get("json_output"):
        sys.stdout.write(as_json(found))
    else:
        _show_quality(found, out)
    if found.is_worse:
        return Exit.FAILED
    return Exit.PASSED if found.is_compared else Exit.INSUFFICIENT


def _show_quality(found: LiveQuality, out: Path) -> None:
    from validator.report.escape import clean

    say(f"{found.model}: {found.joined:,} joined, {found.waiting:,} wait, {found.ambiguous:,} ambiguous")
    for one in found.standings:
        say(
            f"  {one.status:<4} {one.metric:<12} {one.value:.4g} [{one.low:.4g}, {one.high:.4g}] "
            f"on {one.rows:,} rows, {clean(one.version)}{f': {one.reason}' if one.reason else ''}"
        )
    say(f"Page: {out / 'quality.html'}")
    if not found.is_worse and not found.is_compared:
        say("! the version was judged without true answers (--target): there is nothing to compare with")


def _maintain(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    from validator.cli.monitor_job import tell
    from validator.monitoring.live import Page
    from validator.monitoring.maintenance import document, judge, markdown, page
    from validator.monitoring.quality import from_json
    from validator.monitoring.settings import read_settings
    from validator.prometheus import address, prometheus_at

    settings = read_settings(_config(flags))
    asked = Page(
        url=address(flags["prometheus"]),
        model=flags.get("model"),
        seconds=_span(flags["last"]),
        settings=settings,
    )
    quality = from_json(_read(Path(flags["quality"]))) if flags.get("quality") else None
    with prometheus_at(asked.url) as prometheus:
        seen = asked.seen(prometheus)
    if quality is not None and quality.model != seen.model:
        raise UsageError(
            f"{flags['quality']} is about {quality.model}, and Prometheus was asked about {seen.model}",
            hint="give the quality.json of the same model",
        )
    found = judge(seen, quality, retrain_after_days=settings.retrain_after_days)
    out = Path(flags["out"])
    text = markdown(found)
    _write(out / "maintenance.md", text)
    _write(out / "maintenance.html", page(found))
    if flags.get("json_output"):
        print_json(document(found))
    else:
        _show_maintenance(found, out)
    tell(found, text, environ, sys.stderr)
    return {"due": Exit.FAILED, "unknown": Exit.INSUFFICIENT, "well": Exit.PASSED}[found.status]


def _show_maintenance(found: Maintenance, out: Path) -> None:
    from validator.monitoring.maintenance import title
    from validator.report.escape import clean

    say(title(found))
    for mark, items in (("!", found.reasons), (">", found.advice), ("?", found.unknown)):
        for item in items:
            say(f"  {mark} {clean(item, limit=300)}")
    say(f"Page: {out / 'maintenance.html'}")


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > 2**24:
            raise UsageError(f"{path} is absurdly large", hint="give the quality.json of `monitor quality`")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="give quality.json") from error


def _span(text: str) -> float:
    seconds = seconds_of(text)
    if seconds is None or not 600 <= seconds <= 10 * 31_536_000:
        raise UsageError(
            f"{text!r} is no time from 10m to 10y",
            hint="give a number and m, h, d, w or y, such as 24h or 30d",
        )
    return seconds


_RUN = {"init": _init, "check": _check, "page": _page, "quality": _quality}
