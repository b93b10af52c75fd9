"""Settings: their sources, their order, and what wrong ones are told."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import jsonschema
import pytest

from validator.errors import SettingsError
from validator.settings.sources import resolve, salvage
from validator.settings.table import Settings, json_schema

TOML = 'data = "sample.parquet"\nmax_latency_ms = 5\n'


def write(folder: Path, text: str, name: str = "preflight.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


def test_the_first_source_wins(tmp_path):
    write(tmp_path, "max_latency_ms = 1\n")
    actions = {"GITHUB_ACTIONS": "true"}
    assert resolve({}, {}, tmp_path).max_latency_ms == 1
    assert resolve({}, {"PREFLIGHT_MAX_LATENCY_MS": "2"}, tmp_path).max_latency_ms == 2
    environ = {"PREFLIGHT_MAX_LATENCY_MS": "2", "INPUT_MAX-LATENCY-MS": "3", **actions}
    assert resolve({}, environ, tmp_path).max_latency_ms == 3
    assert resolve({"max_latency_ms": "4"}, environ, tmp_path).max_latency_ms == 4
    assert resolve({}, {}, tmp_path / "elsewhere").max_latency_ms == 50


def test_action_inputs_count_in_actions_only_and_empty_ones_not_at_all(tmp_path):
    assert resolve({}, {"INPUT_TARGET": "y"}, tmp_path).target is None
    assert resolve({}, {"INPUT_TARGET": "", "GITHUB_ACTIONS": "true"}, tmp_path).target is None


def test_a_pyproject_table_is_read_when_there_is_no_file_of_our_own(tmp_path):
    write(tmp_path, "[tool.model-preflight]\nmax-latency-ms = 7\n[tool.other]\nx = 1\n", "pyproject.toml")
    assert resolve({}, {}, tmp_path).max_latency_ms == 7
    write(tmp_path, "max_latency_ms = 8\n")
    assert resolve({}, {}, tmp_path).max_latency_ms == 8


def test_a_file_beside_the_model_is_found_and_its_paths_count_from_there(tmp_path):
    write(tmp_path / "models" / "a", TOML)
    found = resolve({"model": ["models/a/model.pkl"]}, {}, tmp_path)
    assert (
        found.data == str(tmp_path / "models" / "a" / "sample.parquet")
        or found.data == "models/a/sample.parquet"
    )
    assert (tmp_path / found.data) == tmp_path / "models" / "a" / "sample.parquet"


@pytest.mark.parametrize(
    ("toml", "flags", "environ", "words", "hint"),
    [
        ("max_latncy_ms = 5", {}, {}, "max_latncy_ms", "max_latency_ms"),
        ("max_latency_ms = -5", {}, {}, "preflight.toml: max_latency_ms", ""),
        ("max_latency_ms = [", {}, {}, "no valid TOML", ""),
        ("[contract]\ntaks = 'binary'", {}, {}, "taks", "task"),
        ("[[waivers]]\ncheck = 'smoke.range'\nreason = 'x'\nexpires = 2030-01-01", {}, {}, "reason", ""),
        ("[waivers]\ncheck = 'smoke.range'", {}, {}, "preflight.toml: waivers", "[[waivers]]"),
        ("[contract.features]\nname = 'a'", {}, {}, "contract: features", "[[contract.features]]"),
        (
            "[[waivers]]\ncheck = 'a'\nreason = 'known and harmless'\nexpires = 2030-01-01\nruntime = 'nativ'",
            {},
            {},
            "0.runtime: input should be '', 'native', 'onnx'",
            "",
        ),
        ("github_token = 'abc'", {}, {}, "may not set", "flag"),
        ("", {"input_dtype": "float16"}, {}, "--input-dtype", "float32"),
        ("", {}, {"PREFLIGHT_TARGTE": "y"}, "PREFLIGHT_TARGTE", "PREFLIGHT_TARGET"),
        ("", {}, {"PREFLIGHT_BATCH_SIZES": "1,x"}, "PREFLIGHT_BATCH_SIZES", ""),
        ("", {"quality": ["auc"]}, {}, "--quality", ""),
        ("", {"config": "nowhere.toml"}, {}, "nowhere.toml", ""),
    ],
)
def test_wrong_settings_name_their_source_and_the_nearest_right_name(
    tmp_path, toml, flags, environ, words, hint
):
    write(tmp_path, toml)
    with pytest.raises(SettingsError) as caught:
        resolve(flags, environ, tmp_path)
    assert words in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("number", ["nan", "inf"])
@pytest.mark.parametrize(
    "line",
    [
        "max_latency_ms = {}",
        "tolerance = {}",
        "quality = {{ auc = {} }}",
        "max_quality_loss = {{ auc = {} }}",
        "[[models]]\nmodel = 'a.pkl'\nmax_latency_ms = {}",
    ],
)
def test_a_limit_that_nothing_exceeds_is_refused(tmp_path, line, number):
    write(tmp_path, line.format(number))
    with pytest.raises(SettingsError, match="finite number"):
        resolve({}, {}, tmp_path)


def test_a_models_own_limit_is_held_to_the_same_range(tmp_path):
    write(tmp_path, "[[models]]\nmodel = 'a.pkl'\nmax_latency_ms = -3\n")
    with pytest.raises(SettingsError, match="greater than 0"):
        resolve({}, {}, tmp_path)


def test_the_token_is_never_shown(tmp_path):
    found = resolve({}, {"PREFLIGHT_GITHUB_TOKEN": "ghp_secret"}, tmp_path)
    assert found.github_token == "ghp_secret"
    assert "ghp_secret" not in repr(found)


def test_lists_and_limits_come_as_text_too(tmp_path):
    environ = {
        "PREFLIGHT_BATCH_SIZES": "1, 10",
        "PREFLIGHT_QUALITY": "auc=0.6\nf1=0.5",
        "PREFLIGHT_MODEL": "a.pkl\nb.pkl",
    }
    found = resolve({}, environ, tmp_path)
    assert found.batch_sizes == (1, 10)
    assert found.quality == {"auc": 0.6, "f1": 0.5}
    assert found.model == ("a.pkl", "b.pkl")


def test_numbers_in_a_repeated_flag_may_be_separated_by_commas_too(tmp_path):
    found = resolve({"batch_sizes": ["1,10", "500"], "quality": ["auc=0.6,f1=0.5"]}, {}, tmp_path)
    assert found.batch_sizes == (1, 10, 500)
    assert found.quality == {"auc": 0.6, "f1": 0.5}


def test_a_waiver_has_a_date(tmp_path):
    write(
        tmp_path, "[[waivers]]\ncheck = 'smoke.range'\nreason = 'known and harmless'\nexpires = 2030-01-01\n"
    )
    assert resolve({}, {}, tmp_path).waivers[0].expires == dt.date(2030, 1, 1)


def test_the_schema_for_editors_accepts_what_we_accept_and_refuses_what_we_refuse():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"max_latency_ms": 5, "contract": {"task": "binary"}})
    assert not validator.is_valid({"max_latncy_ms": 5})
    assert "github_token" not in json.dumps(schema["properties"])


def test_every_setting_is_described():
    assert all(field.description for field in Settings.model_fields.values())


def test_what_telling_needs_is_saved_from_settings_that_are_wrong(tmp_path):
    """A required status must say that the settings are wrong: under the name that is required, and with the token."""
    write(tmp_path, 'max_latency = 5\nout = 7\ntask = "x"\n')
    environ = {
        "GITHUB_ACTIONS": "true",
        "INPUT_GITHUB-TOKEN": "t",
        "INPUT_COMMENT": "perhaps",
        "INPUT_INSTANCE-KEY": "a",
        "INPUT_STATUS-CONTEXT": "gate",
        "PREFLIGHT_TYPO": "1",
        "PREFLIGHT_OUT": "elsewhere",
    }
    found = salvage({"max_latency_ms": "fast"}, environ, tmp_path)
    assert (found.github_token, found.status_context, found.instance_key) == ("t", "gate", "a")
    assert (found.comment, found.out, found.task) == (True, Path("elsewhere"), "auto")
    write(tmp_path, "no toml")
    assert salvage({}, environ, tmp_path).github_token == "t"


def test_a_pyproject_without_a_table_of_ours_is_told(tmp_path):
    write(tmp_path, "[tool]\nmodel-preflight = 3\n", "pyproject.toml")
    with pytest.raises(SettingsError, match="no table at"):
        resolve({}, {}, tmp_path)


@pytest.mark.parametrize(
    ("toml", "flags", "environ", "place"),
    [
        ("deployment = 'a.py:W'", {}, {}, "preflight.toml: deployment"),
        ("", {"deployment": "a.py:W"}, {}, "--deployment"),
        ("", {}, {"PREFLIGHT_DEPLOYMENT": "a.py:W"}, "PREFLIGHT_DEPLOYMENT"),
        ("", {}, {"INPUT_DEPLOYMENT": "a.py:W", "GITHUB_ACTIONS": "true"}, "action input deployment"),
    ],
)
def test_an_earlier_name_still_sets_the_setting_and_says_the_present_one(
    tmp_path, toml, flags, environ, place
):
    write(tmp_path, toml)
    told: list[str] = []
    assert resolve(flags, environ, tmp_path, told.append).wrapper == "a.py:W"
    assert told == [f"{place}: this setting is called 'wrapper' now"]


def test_a_source_counts_by_its_place_whichever_name_it_uses(tmp_path):
    write(tmp_path, "wrapper = 'file.py:W'\nwrapper_methods = ['a']\n")
    environ = {"PREFLIGHT_DEPLOYMENT": "variable.py:W", "PREFLIGHT_DEPLOYMENT_METHODS": "b,c"}
    found = resolve({}, environ, tmp_path)
    assert (found.wrapper, found.wrapper_methods) == ("variable.py:W", ("b", "c"))
    assert resolve({"wrapper": "flag.py:W"}, environ, tmp_path).wrapper == "flag.py:W"


@pytest.mark.parametrize(
    ("toml", "flags", "environ", "words"),
    [
        (
            "deployment = 'a.py:W'\nwrapper = 'b.py:W'",
            {},
            {},
            "preflight.toml: deployment and preflight.toml: wrap",
        ),
        ("", {"deployment": "a.py:W", "wrapper": "b.py:W"}, {}, "--deployment and --wrapper"),
        ("", {}, {"PREFLIGHT_DEPLOYMENT": "a", "PREFLIGHT_WRAPPER": "b"}, "PREFLIGHT_DEPLOYMENT and"),
        (
            "[[models]]\nmodel = 'a.pkl'\n[[models]]\nmodel = 'b.pkl'\ndeployment = 'a.py:W'\nwrapper = 'b.py:W'",
            {},
            {},
            "preflight.toml: models.1.deployment and",
        ),
    ],
)
def test_one_setting_by_both_its_names_is_refused(tmp_path, toml, flags, environ, words):
    write(tmp_path, toml)
    with pytest.raises(SettingsError) as caught:
        resolve(flags, environ, tmp_path)
    assert words in caught.value.message
    assert "give 'wrapper' alone" in caught.value.hint
    assert salvage(flags, {**environ, "PREFLIGHT_GITHUB_TOKEN": "t"}, tmp_path).github_token == "t"


def test_the_earlier_name_lets_no_more_code_run_than_the_present_one(tmp_path):
    write(tmp_path, "deployment = 'a.py:W'\n")
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request_target"}
    with pytest.raises(SettingsError, match="may not set 'wrapper'"):
        resolve({}, environ, tmp_path)
    write(tmp_path, "[[models]]\nmodel = 'a.pkl'\ndeployment = 'a.py:W'\n")
    with pytest.raises(SettingsError, match="may not set 'wrapper'"):
        resolve({}, environ, tmp_path)


def test_a_file_of_0_1_0_means_what_it_meant(tmp_path):
    stored = Path(__file__).parents[2] / "stored" / "0.1.0"
    found = resolve({"config": "preflight.toml"}, {}, stored)
    assert found.wrapper == "serving.py:FraudModel"
    assert found.waivers[0].runtime == "wrapper"
    beside = resolve({"model": [str(stored / "model.pkl")]}, {}, tmp_path)
    assert beside.wrapper == f"{stored / 'serving.py'}:FraudModel"


def test_editors_know_the_earlier_names_as_deprecated():
    schema = json_schema()
    for properties in (schema["properties"], schema["$defs"]["ModelEntry"]["properties"]):
        assert properties["deployment"]["deprecated"]
        assert "deprecated" not in properties["wrapper"]
