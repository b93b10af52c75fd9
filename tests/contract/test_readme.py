"""The README says what the code does: its tables are the code's, its commands exist."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from validator.catalog import SPECS
from validator.cli.main import build_parser
from validator.cli.reference import renewed, settings_table
from validator.settings.table import Settings, flag_of

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tables_are_up_to_date():
    assert renewed(README) == README, "run: python -m validator.cli.reference README.md"


def test_the_schema_for_editors_is_up_to_date():
    schema = (ROOT / "docs" / "preflight.schema.json").read_text(encoding="utf-8")
    assert renewed(schema) == schema, "run: python -m validator.cli.reference docs/preflight.schema.json"
    jsonschema = pytest.importorskip("jsonschema")
    for example in ROOT.glob("examples/*/preflight.toml"):
        jsonschema.validate(tomllib.loads(example.read_text(encoding="utf-8")), json.loads(schema))


def test_every_setting_and_every_check_is_in_it():
    for name in Settings.model_fields:
        assert flag_of(name) in README or f"[{name}]" in README
    for spec in SPECS:
        assert f"`{spec.id}`" in README


def test_every_command_is_in_it():
    commands = next(action for action in build_parser()._actions if action.dest == "command").choices
    assert set(commands) == {"validate", "inspect", "convert", "init", "publish"}
    for command in commands:
        assert f"`{command} " in README


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_help_knows_every_setting(name):
    from validator.settings.table import is_file_only

    text = (
        next(action for action in build_parser()._actions if action.dest == "command")
        .choices["validate"]
        .format_help()
    )
    assert (f"--{flag_of(name)}" in text) != (is_file_only(name) or name == "model")


def test_the_targets_of_the_makefile_that_it_names_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w[\w-]*)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_links_to_files_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_table_has_no_line_break_in_a_cell():
    assert all(row.count("|") >= 4 for row in settings_table().splitlines())


def test_the_outputs_are_those_of_the_action():
    yaml = pytest.importorskip("yaml")
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    rows = "\n".join(f"| `{name}` | {about['description']} |" for name, about in action["outputs"].items())
    assert f"|---|---|\n{rows}\n<!-- /outputs -->" in README, rows
