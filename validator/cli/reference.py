"""The documentation's tables, the inputs of action.yml and the schema of preflight.toml, made from the code.

`python -m validator.cli.reference` in the repository renews them all.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import BaseModel

from validator.catalog import SPECS
from validator.cli.drift_job import INPUTS as DRIFT_INPUTS
from validator.cli.test_job import INPUTS as TEST_INPUTS
from validator.settings.table import RENAMED, Settings, flag_of, is_file_only, json_schema

#: What the console shows: no matter of an action.
CONSOLE_ONLY = frozenset({"quiet", "json_output"})
#: Filled in by GitHub, for nobody to set.
_MATRIX = (
    "  matrix:",
    '    description: "leave it: tells the jobs of a matrix apart on a commit that all of them report to"',
    "    default: ${{ toJson(matrix) }}",
)
_RUNTIMES = {"": "once", "native": "native", "onnx": "ONNX", "deployment": "deployment", "wrapper": "wrapper"}


def settings_table() -> str:
    """Every setting: its flag and action input, its default, what it is."""
    rows = ["| setting | default | what it is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        shown = f"`[{name}]` in the file" if is_file_only(name) else f"`{flag_of(name)}`"
        rows.append(f"| {shown} | {_default(field.default)} | {field.description} |".replace("  ", " "))
    return "\n".join(rows)


def _default(value: object) -> str:
    if value in (None, (), {}) or isinstance(value, BaseModel):
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return "`" + ", ".join(str(item) for item in value) + "`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def checks_table() -> str:
    """Every check: its id, what it asks, and the runtimes it judges."""
    rows = ["| check | asks | on |", "|---|---|---|"]
    rows += [
        f"| `{spec.id}` | {spec.title} | {', '.join(_RUNTIMES[runtime] for runtime in spec.runtimes)} |"
        for spec in SPECS
    ]
    return "\n".join(rows)


def action_inputs() -> str:
    """The inputs of action.yml that are settings. Without defaults: one would win over preflight.toml."""
    lines = []
    for name, field in Settings.model_fields.items():
        if is_file_only(name) or name in CONSOLE_ONLY:
            continue
        shown = "" if name == "github_token" else _input_default(field.default)
        text = json.dumps(f"{field.description}{shown}", ensure_ascii=False)
        lines += [f"  {flag_of(name)}:", f"    description: {text}"]
        if name == "github_token":
            lines.append("    default: ${{ github.token }}")
    for name, text in {**DRIFT_INPUTS, **TEST_INPUTS}.items():
        lines += [f"  {name}:", f"    description: {json.dumps(text, ensure_ascii=False)}"]
    lines += _MATRIX
    for old, new in RENAMED.items():
        lines += [
            f"  {flag_of(old)}:",
            f"    description: earlier name of {flag_of(new)}",
            f"    deprecationMessage: this input is called {flag_of(new)} now",
        ]
    return "\n".join(lines)


def _input_default(value: object) -> str:
    if isinstance(value, bool):
        return f" (default: {str(value).lower()})"
    shown = _default(value).strip("`")
    return f" (default: {shown})" if shown else ""


TABLES = {"settings": settings_table, "checks": checks_table}


def renewed(text: str) -> str:
    """A JSON Schema; or a document with the tables between its marks, or an action's inputs, made anew."""
    if text.startswith("{"):
        return json.dumps(json_schema(), indent=2) + "\n"
    for name, table in TABLES.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if start in text and end in text:
            before, _, rest = text.partition(start)
            text = f"{before}{start}\n{table()}\n{end}{rest.partition(end)[2]}"
    start, end = "\n    default: validate\n", "\n\noutputs:\n"
    if start in text and end in text:
        before, _, rest = text.partition(start)
        text = f"{before}{start}{action_inputs()}{end}{rest.partition(end)[2]}"
    return text


#: What holds such tables, below the repository's root.
DOCUMENTS = ("action.yml", "docs/checklist.md", "docs/preflight.schema.json", "docs/settings.md")

if __name__ == "__main__":
    for name in sys.argv[1:] or DOCUMENTS:
        document = Path(name)
        document.write_text(renewed(document.read_text(encoding="utf-8")), encoding="utf-8")
