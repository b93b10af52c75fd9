"""The command line: arguments and variables in, exit code out. Nothing else reads `argv` or `environ`."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from validator import __version__
from validator.cli.help import HelpfulParser, dress
from validator.cli.usage import in_our_words
from validator.errors import Exit, InternalError, PreflightError, UsageError
from validator.permissions import unforeseen

_EPILOG = """exit codes:
  0  passed, or done
  1  failed; the checklist, or the message, says which item
  2  it could not judge: bad usage, unreadable configuration or data
  3  only publishing or pushing failed, and was asked for
  4  not enough data to tell, or still under way
"""
_COMMANDS = {
    "validate": "judge a model: the whole gate",
    "inspect": "say what a model file is, without executing anything",
    "convert": "convert to ONNX exactly, and prove it",
    "init": "write a commented preflight.toml with the contract that was inferred",
    "publish": "post an earlier run's result to GitHub",
    "drift": "compare data with what the model was judged on",
    "registry": "keep versions of models: push, promote, roll back, and what was in production when",
    "serve": "serve a judged artifact over HTTP, with metrics",
    "rollout": "move traffic to a candidate as far as measurements allow, or back",
    "test": "try what was published: serve it, ask it, count, end it, roll it back",
    "monitor": "rules with tests, alerts, dashboard and history of a model that serves",
    "completion": "print what makes a shell complete this command",
}
#: These take arguments of their own, rather than from the table of settings.
_OWN_ARGUMENTS = ("drift", "registry", "serve", "rollout", "test", "monitor", "completion")

#: New objects until the collector looks for cycles.
_COLLECT_AFTER = 50_000
#: Variables that hold tokens. Workers get an empty environment; these are wiped from /proc too.
SECRETS = (
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "INPUT_GITHUB-TOKEN",
    "INPUT_GITHUB_TOKEN",
    "PREFLIGHT_GITHUB_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Errors of ours end in one message and a code, never in a traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments, os.environ)
    except PreflightError as error:
        return _complain(error)
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # the terminal may be gone
            print("model-preflight: interrupted; no verdict", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.UNJUDGED
    except ModuleNotFoundError as error:
        return _complain(_lacking(error))
    except Exception as error:
        return _complain(unforeseen(error))


def _lacking(error: ModuleNotFoundError) -> PreflightError:
    """For an installation that serves alone: `Deployment` needs numpy and onnxruntime, the command much more."""
    from validator.extras import install_line

    missing = error.name or "validator"
    if missing.split(".")[0] == "validator":
        return InternalError.of(error)
    return UsageError(
        f"this command needs the module {missing}, which is not installed",
        hint=f"{install_line(missing)}; without extras model-preflight only serves (`validator.Deployment`)",
    )


def _complain(error: PreflightError) -> int:
    from validator.cli.console import complain

    complain(error)
    return error.exit_code


class _Parser(HelpfulParser):
    """Usage errors in our own form, each with a way on."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does it; what a command does not take is told by that command, which knows what it takes."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {unknown[0]}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        told, hint = in_our_words(message, self.prog, self._option_string_actions)
        raise UsageError(told, hint=hint or f"see `{self.prog} --help`")


def _run(arguments: list[str], environ: Mapping[str, str]) -> int:
    parser = build_parser(arguments[0] if arguments and arguments[0] in _OWN_ARGUMENTS else None)
    if not arguments and environ.get("GITHUB_ACTIONS") == "true":
        arguments = [environ.get("INPUT_COMMAND") or "validate"]
    given = vars(parser.parse_args(arguments))
    command = given.pop("command")
    if command is None:
        parser.print_help()
        return Exit.UNJUDGED
    from validator.sandbox.lockdown.supervisor import protect_supervisor

    protect_supervisor(SECRETS)
    if command != "serve":  # what is imported stays: looking through it over and over finds nothing
        gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
    run = importlib.import_module(f"validator.cli.{command}").run
    return int(run({name: value for name, value in given.items() if value is not None}, environ))


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands, made from the table of settings; or of one that takes none of them.

    Where models are only served, the table's library is not installed.
    """
    parser = _Parser(
        prog="model-preflight",
        description="The last check before a machine-learning model ships.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"model-preflight {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, summary in _COMMANDS.items() if only is None else [(only, _COMMANDS[only])]:
        sub = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            allow_abbrev=False,
            argument_default=None,
        )
        if name in _OWN_ARGUMENTS:
            importlib.import_module(f"validator.cli.{name}").add_arguments(sub)
        else:
            _add_arguments(sub, name)
    dress(parser)
    return parser


#: The settings that each command takes as flags; `validate` takes all.
_FLAGS = {
    "inspect": ("allow", "json_output"),
    "convert": ("data", "reading", "input_dtype", "allow", "trust_pickle", "isolation", "python", "requirements",
                "environment_cache", "tolerance", "boundary_rows",
                "target", "ignore", "quiet", "json_output", "config", "worker_memory_mb", "worker_timeout_s"),
    "init": ("data", "target", "name", "ignore", "allow", "trust_pickle", "isolation", "python",
             "requirements", "environment_cache"),
    "publish": ("github_token", "comment", "status", "status_context", "check_run", "instance_key",
                "require_publish", "out"),
}  # fmt: skip


_SEVERAL = {"validate": ", or several; those in preflight.toml if none", "inspect": ", or several"}


def _add_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    from validator.settings.table import Settings, group_of, is_file_only

    if command == "publish":
        parser.add_argument(
            "result_dir",
            nargs="?",
            metavar="RESULT_DIR",
            help="folder that an earlier run wrote; that of --out if none",
        )
    else:
        parser.add_argument(
            "model",
            nargs={"validate": "*", "inspect": "+"}.get(command, 1),
            metavar="MODEL",
            help="the model file" + _SEVERAL.get(command, ""),
        )
    if command == "convert":
        parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the ONNX file to write")
    if command == "init":
        parser.add_argument(
            "-o", "--output", metavar="FILE", help="the file to write (default: preflight.toml)"
        )
        parser.add_argument("--force", action="store_true", default=None, help="replace an existing file")
    groups: dict[str, Any] = {}
    for name in Settings.model_fields:
        if name == "model" or is_file_only(name) or (command in _FLAGS and name not in _FLAGS[command]):
            continue
        title = group_of(name)
        group = groups.setdefault(title, parser.add_argument_group(title))
        _add_flag(group, name)
    if command == "validate":
        _add_earlier_names(parser)


def _add_earlier_names(parser: argparse.ArgumentParser) -> None:
    """Flags by earlier names of settings: taken, not shown."""
    from validator.settings.table import RENAMED, flag_of, is_list

    for old, new in RENAMED.items():
        action = "append" if is_list(new) else "store"
        parser.add_argument(f"--{flag_of(old)}", dest=old, action=action, help=argparse.SUPPRESS)


def _add_flag(group: Any, name: str) -> None:
    from validator.settings.table import choices, defaults_for, flag_of, is_list, is_switch

    field = defaults_for(name)
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    default = field.default
    shown = "" if default in (None, (), {}, False, True) else f" (default: {_words(default)})"
    text = f"{field.description}{shown}".replace("%", "%%")
    if is_switch(name):
        action = argparse.BooleanOptionalAction if default is True else "store_true"
        group.add_argument(f"--{flag_of(name)}", dest=name, action=action, default=None, help=text)
        return
    words = choices(name)
    group.add_argument(
        f"--{flag_of(name)}",
        dest=name,
        action="append" if is_list(name) else "store",
        metavar=str(
            extra.get("metavar")
            or ("|".join(words) if words and len(words) < 5 else name.rsplit("_", maxsplit=1)[-1].upper())
        ),
        help=text,
    )


def _words(default: object) -> str:
    return ", ".join(str(item) for item in default) if isinstance(default, tuple) else str(default)


if __name__ == "__main__":
    sys.exit(main())
