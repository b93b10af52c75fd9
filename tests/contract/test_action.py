"""action.yml holds what the table of settings holds, and declares what publishing sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from validator.cli.drift_job import INPUTS as DRIFT_INPUTS
from validator.cli.gate_push import OUTPUTS as PUSH_OUTPUTS
from validator.cli.main import _COMMANDS
from validator.cli.reference import renewed
from validator.cli.test_job import INPUTS as TEST_INPUTS
from validator.github.publication import PublishSettings
from validator.github.wording import outputs
from validator.settings.table import RENAMED, Settings, flag_of, is_file_only

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def action() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    return yaml.load((ROOT / "action.yml").read_text(encoding="utf-8"), yaml.BaseLoader)


def test_every_setting_is_an_input_in_the_same_words(action):
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    assert renewed(text) == text, "run: python -m validator.cli.reference action.yml"
    settings = {flag_of(n) for n in Settings.model_fields if not is_file_only(n)} - {"quiet", "json"}
    earlier = {flag_of(old): flag_of(new) for old, new in RENAMED.items()}
    assert set(action["inputs"]) == settings | {"command", "matrix", *earlier, *DRIFT_INPUTS, *TEST_INPUTS}
    for old, new in earlier.items():
        assert f"called {new} now" in action["inputs"][old]["deprecationMessage"]
    for name in settings - {"github-token"}:
        field = Settings.model_fields[name.replace("-", "_")]
        assert action["inputs"][name]["description"].startswith(field.description)


def test_only_what_is_no_setting_has_a_default(action):
    """An input's default would win over preflight.toml: an empty input counts as unset."""
    defaults = {name: about["default"] for name, about in action["inputs"].items() if "default" in about}
    assert defaults == {
        "command": "validate",
        "github-token": "${{ github.token }}",
        "matrix": "${{ toJson(matrix) }}",
    }
    assert "matrix" not in Settings.model_fields


def test_every_input_is_kebab_case_and_optional(action):
    for name, about in action["inputs"].items():
        assert name == name.lower()
        assert "_" not in name
        assert "required" not in about


def test_outputs_are_those_that_publishing_sets(action):
    assert list(action["outputs"]) == [*outputs([], verdict="pass"), "comment-url", *PUSH_OUTPUTS]
    assert all(about["description"] for about in action["outputs"].values())


def test_the_container_runs_the_command(action):
    assert action["runs"] == {"using": "docker", "image": "Dockerfile", "args": ["${{ inputs.command }}"]}
    assert (ROOT / "Dockerfile").is_file()


def test_publishing_reads_settings_that_exist():
    names = {name for name in vars(PublishSettings) if not name.startswith("_")}
    assert names
    assert names <= set(Settings.model_fields)


def test_the_commands_that_the_input_names_are_commands_and_say_which_inputs_they_read(action):
    described = action["inputs"]["command"]["description"]
    named = {part.strip().split(" ")[0] for part in described.split(";")}
    assert named == {"validate", "publish", "drift", "test"}
    assert named <= set(_COMMANDS)
    for command, inputs in (("drift", DRIFT_INPUTS), ("test", TEST_INPUTS)):
        assert all(text.startswith(f"with command {command}: ") for text in inputs.values())
    assert not set(DRIFT_INPUTS) & set(TEST_INPUTS)
