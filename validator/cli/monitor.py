"""`monitor`: rules, alerts, dashboard and history of a model that serves, made from its artifact."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator.errors import Exit, UsageError

if TYPE_CHECKING:
    from validator.monitoring.files import Outcome
    from validator.monitoring.init import Made

_ACTIONS = {
    "init": "write Prometheus' rules and their tests, its configuration and Alertmanager's",
}
EPILOG = """exit codes:
  0  done, all is as it should be
  1  something is not: a file of yours that a newer one was not written over
  2  unable: bad usage, unreadable artifact or settings
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions and their flags."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in _ACTIONS.items():
        sub = actions.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        _ARGUMENTS[name](sub)


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
    sub.add_argument("--override", metavar="REASON", help="for an artifact that failed the gate, and say why")


_ARGUMENTS = {"init": _init_arguments}


def run(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:  # noqa: ARG001 - all commands have it
    """Do what was asked. Returns an exit code."""
    return _RUN[flags["action"]](flags)


def _init(flags: Mapping[str, Any]) -> int:
    from validator.monitoring.files import write_files
    from validator.monitoring.init import Options, make

    made = make(
        Options(
            artifact=flags["artifact"],
            config=_config(flags),
            rollout=Path(flags["rollout"]) if flags.get("rollout") else None,
            slo_percent=_percent(flags.get("slo")),
            override=flags.get("override"),
        )
    )
    outcomes = write_files(Path(flags["out"]), made.files)
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
    print(
        f"{made.watched.subject.model} {made.watched.subject.version}: {limits.slo_percent:g} % answered well, "
        f"{limits.slow_percent:g} % within {limits.slo_ms:g} ms"
    )
    print("\n".join(lines(made.budget)))
    for one in outcomes:
        said = {"yours": "yours, left", "differs": "YOURS, and there is something new; left"}
        print(f"  {said.get(one.became, one.became)}: {out / one.name}")
        for line in one.difference:
            print(f"    {clean(line, limit=200)}")
    for line in made.unheard:
        print(f"! {line}")
    if any(one.became == "differs" for one in outcomes):
        print("Take over what you want of it, or remove the file and run this again.")


_RUN = {"init": _init}
