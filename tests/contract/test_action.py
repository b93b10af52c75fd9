"""action.yml holds what the table of settings holds, and declares what publishing sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from validator.github.publication import PublishSettings
from validator.github.wording import outputs
from validator.settings import Settings, flag_of, is_file_only

ROOT = Path(__file__).parents[2]
#: What the console shows: no matter of an action.
CONSOLE_ONLY = {"quiet", "json_output"}


@pytest.fixture(scope="module")
def action() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    return yaml.load((ROOT / "action.yml").read_text(encoding="utf-8"), yaml.BaseLoader)


def described(name: str) -> str:
    """A setting's description with its default, as action.yml words it."""
    field = Settings.model_fields[name]
    default: Any = field.default
    if isinstance(default, bool):
        default = str(default).lower()
    elif isinstance(default, float):
        default = f"{default:g}"
    elif isinstance(default, tuple):
        default = ", ".join(map(str, default))
    shown = "" if default in (None, "", {}) or name == "github_token" else f" (default: {default})"
    return f"{field.description}{shown}"


def expected_inputs() -> dict[str, str]:
    names = [n for n in Settings.model_fields if not is_file_only(n) and n not in CONSOLE_ONLY]
    return {flag_of(name): described(name) for name in names}


def test_every_setting_is_an_input_in_the_same_words(action):
    block = "\n".join(
        f"  {name}:\n    description: {json.dumps(text, ensure_ascii=False)}"
        for name, text in expected_inputs().items()
    )
    found = {name: about["description"] for name, about in action["inputs"].items() if name != "command"}
    assert found == expected_inputs(), f"action.yml should say:\n{block}"


def test_only_the_command_and_the_token_have_defaults(action):
    """An input's default would win over preflight.toml: an empty input counts as unset."""
    defaults = {name: about["default"] for name, about in action["inputs"].items() if "default" in about}
    assert defaults == {"command": "validate", "github-token": "${{ github.token }}"}


def test_every_input_is_kebab_case_and_optional(action):
    for name, about in action["inputs"].items():
        assert name == name.lower()
        assert "_" not in name
        assert "required" not in about


def test_outputs_are_those_that_publishing_sets(action):
    assert list(action["outputs"]) == [*outputs([], verdict="pass"), "comment-url"]
    assert all(about["description"] for about in action["outputs"].values())


def test_the_container_runs_the_command(action):
    assert action["runs"] == {"using": "docker", "image": "Dockerfile", "args": ["${{ inputs.command }}"]}
    assert (ROOT / "Dockerfile").is_file()


def test_publishing_reads_settings_that_exist():
    names = {name for name in vars(PublishSettings) if not name.startswith("_")}
    assert names
    assert names <= set(Settings.model_fields)
