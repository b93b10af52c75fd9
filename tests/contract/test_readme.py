"""The README says what the code does: its tables are the code's, its commands exist."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from validator.catalog import SPECS
from validator.cli.main import build_parser
from validator.cli.reference import DOCUMENTS, renewed, settings_table
from validator.settings.table import Settings, flag_of

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS, CHECKLIST, COMMANDS = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("settings", "checklist", "commands")
)
PAGES = [
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_made_from_the_code_is_up_to_date(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert renewed(text) == text, "run: python -m validator.cli.reference"


def test_the_schema_takes_the_examples():
    schema = (ROOT / "docs" / "preflight.schema.json").read_text(encoding="utf-8")
    jsonschema = pytest.importorskip("jsonschema")
    for example in ROOT.glob("examples/*/preflight.toml"):
        jsonschema.validate(tomllib.loads(example.read_text(encoding="utf-8")), json.loads(schema))


def test_every_setting_and_every_check_is_told_of():
    for name in Settings.model_fields:
        assert flag_of(name) in SETTINGS or f"[{name}]" in SETTINGS
    for spec in SPECS:
        assert f"`{spec.id}`" in CHECKLIST


def test_every_command_is_in_it():
    commands = next(action for action in build_parser()._actions if action.dest == "command").choices
    judging = {"validate", "inspect", "convert", "init", "publish"}
    assert set(commands) == judging | {
        "drift",
        "serve",
        "registry",
        "rollout",
        "test",
        "monitor",
        "completion",
    }
    for command in commands:
        assert f"`{command} " in COMMANDS


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_help_knows_every_setting(name):
    from validator.settings.table import is_file_only

    text = (
        next(action for action in build_parser()._actions if action.dest == "command")
        .choices["validate"]
        .format_everything()
    )
    assert (f"--{flag_of(name)}" in text) != (is_file_only(name) or name == "model")


def test_the_targets_of_the_makefile_that_it_names_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w[\w-]*)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_site_has_every_page():
    listed = set(
        re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert listed == {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").glob("**/*.md")}


def test_the_table_has_no_line_break_in_a_cell():
    assert all(row.count("|") >= 4 for row in settings_table().splitlines())


def test_the_outputs_are_those_of_the_action():
    yaml = pytest.importorskip("yaml")
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    rows = "\n".join(f"| `{name}` | {about['description']} |" for name, about in action["outputs"].items())
    assert f"|---|---|\n{rows}\n<!-- /outputs -->" in COMMANDS, rows
