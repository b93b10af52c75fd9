"""How every command's `--help` looks: one screen, the same order, an example.

A command with more flags than a screen holds shows those that most people need; `--help-all` shows the others too.
"""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Mapping
from typing import Any

#: Nobody reads longer lines with ease, and narrower terminals break them.
_WIDTH = 80
#: More flags than these are one word in the line of usage: they follow below it.
_FLAGS_IN_USAGE = 5
_MODEL = "models/model.pkl --data models/sample.parquet"
_ARTIFACT = "preflight/artifact/trading/v_..."
_REGISTRY = "ghcr.io/acme/models/trading"
#: A line of each command, and of each action of those that have actions.
EXAMPLES: Mapping[str, str] = {
    "": f"model-preflight validate {_MODEL} --target label",
    "validate": f"model-preflight validate {_MODEL} --target label",
    "inspect": "model-preflight inspect models/model.pkl",
    "convert": "model-preflight convert models/model.pkl -o model.onnx",
    "init": f"model-preflight init {_MODEL} --target label",
    "publish": "model-preflight publish preflight",
    "drift": f"model-preflight drift last_week.parquet --artifact {_ARTIFACT}",
    "serve": f"model-preflight serve {_ARTIFACT} --port 8080",
    "test": f"model-preflight test oci://{_REGISTRY}@sha256:...",
    "completion": 'eval "$(model-preflight completion bash)"',
    "registry": f"model-preflight registry push {_ARTIFACT}",
    "registry push": f"model-preflight registry push {_ARTIFACT} oci://{_REGISTRY}",
    "registry list": f"model-preflight registry list oci://{_REGISTRY}",
    "registry show": "model-preflight registry show trading:champion",
    "registry pull": "model-preflight registry pull trading:champion -o served",
    "registry promote": 'model-preflight registry promote trading v_... --reason "AUC +0.4 pp"',
    "registry rollback": 'model-preflight registry rollback trading --reason "refuses a third"',
    "registry history": "model-preflight registry history trading",
    "registry prune": "model-preflight registry prune trading --keep 20",
    "rollout": f"model-preflight rollout start trading --candidate {_REGISTRY}@sha256:...",
    "rollout plan": "model-preflight rollout plan --config rollout.toml",
    "rollout start": f"model-preflight rollout start trading --candidate {_REGISTRY}@sha256:...",
    "rollout step": "model-preflight rollout step --config rollout.toml",
    "rollout run": "model-preflight rollout run --metrics 127.0.0.1:9101",
    "rollout status": "model-preflight rollout status --watch",
    "rollout wait": "model-preflight rollout wait --wait 6h",
    "rollout abort": 'model-preflight rollout abort --reason "wrong training data"',
    "rollout judge": "model-preflight rollout judge evidence/confirm.json",
    "rollout emit": "model-preflight rollout emit --engine haproxy >haproxy.cfg",
    "monitor": f"model-preflight monitor init --artifact {_ARTIFACT}",
    "monitor init": f"model-preflight monitor init --artifact {_ARTIFACT} --compose",
    "monitor check": "model-preflight monitor check monitoring --prometheus http://127.0.0.1:9090",
    "monitor page": "model-preflight monitor page --prometheus http://127.0.0.1:9090 --last 30d",
    "monitor quality": (
        "model-preflight monitor quality predictions --labels truth.parquet --target label "
        f"--artifact {_ARTIFACT}"
    ),
    "monitor maintain": "model-preflight monitor maintain --prometheus http://127.0.0.1:9090",
}
#: Stands for a space at which a line is not to be broken.
_HELD = "\0"
_CODE = re.compile(r"  [0-9]  ")
#: What a screen shows of the commands whose flags fill more than one.
FIRST: Mapping[str, tuple[str, ...]] = {
    "validate": ("data", "target", "out", "config", "max_latency_ms", "baseline", "json_output"),
    "convert": ("output", "data", "allow", "trust_pickle", "python", "config", "json_output"),
    "init": ("data", "target", "output", "force", "name", "ignore", "allow"),
    "drift": ("sources", "artifact", "window", "time", "independent", "target", "out", "prometheus",
              "insufficient", "json_output"),
    "serve": ("host", "port", "verify_key", "override", "token_file", "slo_ms", "drain", "log"),
}  # fmt: skip
#: Of the commands that say nothing of it themselves.
_EXITS: Mapping[str, Mapping[int, str]] = {
    "validate": {0: "passed", 1: "failed", 2: "could not judge", 3: "passed, and could not be published or pushed"},
    "inspect": {0: "it may be loaded", 1: "it would be refused", 2: "it is no model, or unreadable"},
    "convert": {0: "converted and shown equal", 1: "not equal", 2: "it cannot be converted"},
    "init": {0: "written", 2: "it was not, and the message says why"},
    "publish": {0: "the run passed", 1: "the run failed", 2: "it could not judge, or there is nothing valid",
                3: "GitHub did not take it, and that was required"},
    "serve": {0: "ended on SIGTERM", 2: "it does not serve this, and the message says why"},
    "registry": {0: "done", 1: "refused, and the message says why", 2: "unable"},
    "rollout": {0: "done, promoted or passed", 1: "rolled back, aborted or failed", 2: "unable",
                4: "undecided, or still under way"},
    "monitor": {0: "well", 1: "not well, and the message says what", 2: "unable", 4: "it cannot be told"},
    "completion": {0: "printed", 2: "no such shell"},
}  # fmt: skip


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal, eighty columns at most."""

    def __init__(self, prog: str, **changes: Any) -> None:
        super().__init__(prog, max_help_position=24, **({"width": _width()} | changes))

    def add_argument(self, action: argparse.Action) -> None:
        """Names of commands are indented further than flags, and need that much more room."""
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            self._action_max_length += self._indent_increment


class HelpAll(argparse.Action):
    """`--help-all`: every flag there is."""

    def __init__(self, option_strings: list[str], **_: object) -> None:
        super().__init__(
            option_strings,
            dest=argparse.SUPPRESS,
            default=argparse.SUPPRESS,
            nargs=0,
            help="show every flag there is",
        )

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it and end."""
        if isinstance(parser, HelpfulParser):
            print(parser.format_everything(), end="")
        parser.exit()


class HelpfulParser(argparse.ArgumentParser):
    """A parser whose `--help` shows the flags of `first` alone, where it has any."""

    first: frozenset[str] = frozenset()

    def format_everything(self) -> str:
        """Every flag there is."""
        return super().format_help()

    def format_help(self) -> str:
        """One screen: no groups, and of many flags the first."""
        places = [one for one in self._actions if not one.option_strings]
        flags = [one for one in self._actions if one.option_strings and self._is_shown(one)]
        flags.sort(key=lambda one: not isinstance(one, HelpAll | argparse._HelpAction))
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._actions, self._mutually_exclusive_groups)
        formatter.add_text(self.description)
        for title, actions in (("positional arguments", places), ("options", flags)):
            formatter.start_section(title)
            formatter.add_arguments(actions)
            formatter.end_section()
        formatter.add_text(self.epilog)
        return formatter.format_help()

    def _is_shown(self, flag: argparse.Action) -> bool:
        always = isinstance(flag, HelpAll | argparse._HelpAction)
        return always or not self.first or flag.dest in self.first


def dress(parser: argparse.ArgumentParser, name: str = "") -> None:
    """Give a command and its actions the one look."""
    parser.formatter_class = HelpFormatter
    if name in FIRST and isinstance(parser, HelpfulParser):
        parser.first = frozenset(FIRST[name])
        parser.add_argument("--help-all", action=HelpAll)
    parts = [parser.epilog.strip()] if parser.epilog else []
    if name in _EXITS and "exit codes:" not in (parser.epilog or ""):
        codes = [f"  {code}  {what}" for code, what in _EXITS[name].items()]
        parts.append("\n".join(["exit codes:", *codes]))
    parts = [_wrapped(one) for one in parts]
    if name in EXAMPLES:
        parts.append(f"example:\n{_command(EXAMPLES[name])}")
    parser.epilog = "\n\n".join(parts) or None
    parser.description = _wrapped(parser.description or "")
    flags = [action for action in parser._actions if action.option_strings]
    actions = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if len(flags) > _FLAGS_IN_USAGE and not actions:
        places = [_place(one) for one in parser._actions if not one.option_strings]
        needed = [f"{one.option_strings[-1]} {_word(one)}" for one in flags if one.required]
        words = " ".join([parser.prog, *places, *needed, "[FLAGS]"])
        indent = " " * (len("usage: ") + len(parser.prog) + 1)
        room = _width() - len("usage: ")
        lines = textwrap.wrap(words, room, subsequent_indent=indent if len(indent) <= room - 30 else " " * 4)
        parser.usage = "\n".join(lines).replace("%", "%%")
    for one in actions:
        for inner, child in one.choices.items():
            dress(child, f"{name} {inner}".strip())


def _command(line: str) -> str:
    """On lines of its own, continued as a shell has it; a flag stays with its value, and quotes stay whole."""
    kept = re.sub(r'"[^"]*"', lambda quoted: quoted[0].replace(" ", _HELD), line)
    kept = re.sub(r"(--?[a-z][a-z-]*) (?=[^-])", rf"\1{_HELD}", kept)
    parts = textwrap.wrap(kept, _width() - 8, break_long_words=False, break_on_hyphens=False)
    return "  " + " \\\n      ".join(parts).replace(_HELD, " ")


def _wrapped(text: str) -> str:
    """Paragraphs as wide as the screen; an exit code stands alone before its words; indented lines are commands."""
    return "\n".join(line for one in _paragraphs(text) for line in _lines(one))


def _paragraphs(text: str) -> list[str]:
    found: list[str] = []
    for line in text.splitlines():
        goes_on = bool(found) and found[-1] and line and not _CODE.match(line)
        indent = len(line) - len(line.lstrip())
        if goes_on and (indent > 4 or (indent == 0 and found[-1][0] != " " and found[-1][-1] != ":")):
            found[-1] += " " + line.strip()
        else:
            found.append(line)
    return found


def _lines(paragraph: str) -> list[str]:
    code = _CODE.match(paragraph)
    if paragraph.startswith(" ") and not code:
        return [paragraph]
    below = " " * code.end() if code else ""
    return textwrap.wrap(
        paragraph, _width(), subsequent_indent=below, break_long_words=False, break_on_hyphens=False
    ) or [""]


def _width() -> int:
    """Columns that text may take."""
    return min(shutil.get_terminal_size((_WIDTH, 24)).columns, _WIDTH) - 2


def _word(action: argparse.Action) -> str:
    return str(action.metavar or action.dest.upper())


def _place(action: argparse.Action) -> str:
    word = _word(action)
    if action.nargs in ("*", "?"):
        return f"[{word} ...]" if action.nargs == "*" else f"[{word}]"
    return f"{word}..." if action.nargs == "+" else word
