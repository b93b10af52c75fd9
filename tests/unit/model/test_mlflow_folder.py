"""What an `MLmodel` names is listed; what a YAML parser could read otherwise is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from validator.errors import ModelError
from validator.model.mlflow_folder import _NOTHING, _flavours, describe

HONEST = """artifact_path: model
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
    python_version: 3.11.4
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: 1.5.0
mlflow_version: 2.14.1
saved_input_example_info:
  artifact_path: input_example.json
signature:
  inputs: '[{"type": "double", "name": "sepal length (cm)", "required": true}, {"type":
    "double", "name": "flavors: x", "required": true}]'
  params: null
utc_time_created: '2026-01-01 00:00:00.000000'
"""


def found(text: str) -> tuple[str, ...]:
    return describe(Path("m"), text.encode()).unjudged


def test_an_honest_folder_names_its_model_and_nothing_else() -> None:
    assert describe(Path("m"), HONEST.encode()).payload == "model.pkl"
    assert found(HONEST) == ()
    assert found(HONEST.replace("\n", "\r\n")) == ()


@pytest.mark.parametrize("nothing", ["null", "NULL", "Null", "~", "", "''", "{}", "[]"])
def test_nothing_is_no_code(nothing: str) -> None:
    assert found(HONEST.replace("code: null", f"code: {nothing}", 1)) == ()


@pytest.mark.parametrize(
    "written", ["- b.yaml", "conda: 'b: c'", 'conda: "b"', "a:\n        - b", "conda: null"]
)
def test_what_lies_deeper_is_no_concern(written: str) -> None:
    assert found(HONEST.replace("conda: conda.yaml", written, 1)) == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("loader_module: mlflow.sklearn", "loader_module: evil", "loader_module evil"),
        ("loader_module: mlflow.sklearn", "loader_module: mlflow.xgboost", "loader_module mlflow.xgboost"),
        ("model_path: model.pkl", "model_path: other.pkl", "model_path other.pkl"),
        ("model_path: model.pkl", "model_path: model.pkl\n    code: code", "code code"),
        ("code: null", "code: src", "sklearn: code src"),
        ("model_path: model.pkl", "model_path: model.pkl\n    python_model: p.pkl", "python_model p.pkl"),
        ("model_path: model.pkl", "model_path: model.pkl\n    artifacts:\n      a: b", "artifacts ..."),
        ("  sklearn:\n", "  pytorch:\n    data: x\n  sklearn:\n", "the flavour pytorch"),
        ("code: null", "model_class: os.system", "model_class os.system"),
        ("code: null", "code: None", "sklearn: code None"),
        ("predict_fn: predict", "predict_fn: set_params", "predict_fn set_params"),
        ("code: null", "pyfunc_predict_fn: __reduce__", "pyfunc_predict_fn __reduce__"),
        ("code: null", "predict_stream_fn: fit", "predict_stream_fn fit"),
        (
            "code: null",
            "onnx_session_options:\n      extra_session_config:\n        session.load_model_format: ORT",
            "extra_session_config",
        ),
    ],
)
def test_what_its_users_would_run_is_listed(old: str, new: str, said: str) -> None:
    assert any(said in line for line in found(HONEST.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("loader_module: mlflow.sklearn", 'loader_module: mlflow.sklearn\n    "loader_module": evil'),
        ("loader_module: mlflow.sklearn", "loader_module: mlflow.sklearn\n    loader_module: evil"),
        ("loader_module: mlflow.sklearn", "loader_module: mlflow.sklearn\n      .evil"),
        ("loader_module: mlflow.sklearn", "loader_module: &a evil"),
        ("loader_module: mlflow.sklearn", "loader_module: !!str evil"),
        ("loader_module: mlflow.sklearn", "? loader_module\n    : evil"),
        ("code: null", "code: 'null'"),
        ("code: null", 'code: "~"'),
        ("flavors:\n", '"flavors":\n'),
        ("flavors:\n", "flavors: {}\nflavors:\n"),
        ("mlflow_version: 2.14.1", "flavors:\n  sklearn:\n    pickled_model: evil.pkl"),
        ("artifact_path: model\n", 'artifact_path: "\n---\nflavors:\n'),
        ("artifact_path: model\n", " artifact_path: model\n"),
        ("artifact_path: model\n", "artifact_path: model\u2028\n"),
        # A space to Python and a letter to YAML: another file, another key, another value.
        ("model_path: model.pkl", "model_path: \u3000model.pkl"),
        ("code: null", "code: null\xa0"),
        ("predict_fn: predict", "predict_fn:\u2003predict"),
        ("predict_fn: predict", "\u3000   predict_fn: predict"),
        ("  sklearn:\n", "  sklearn: {pickled_model: evil.pkl}\n"),
        ("  sklearn:\n", "  <<: *a\n  sklearn:\n"),
        ("    code: null\n", "\tcode: null\n"),
        # What is opened inside the flavours and closed further down hides the lines between from a reader of lines.
        ("conda: conda.yaml", "conda: 'a\nx: y'\n    loader_module: evil"),
        ("conda: conda.yaml", "'a\nx: y'\n    loader_module: evil"),
        ("conda: conda.yaml", "conda: {a: b,\nx: y}\n    loader_module: evil"),
        ("conda: conda.yaml", "- [a,\nx: y]\n    loader_module: evil"),
        ("conda: conda.yaml", 'conda: "a\\"\nx: y"\n    loader_module: evil'),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(old: str, new: str) -> None:
    with pytest.raises(ModelError, match="cannot be read with certainty"):
        found(HONEST.replace(old, new, 1))


PIECES = [
    "loader_module: evil",
    "    loader_module: evil\n",
    "    code: src\n",
    "    data: other\n",
    "  evil:\n",
    "flavors:\n",
    "'",
    '"',
    "|",
    ">",
    "|-\n",
    "- ",
    "- a: ",
    "#",
    " #",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a",
    "!!str ",
    "? ",
    ": ",
    ":",
    "\n",
    "\n\n",
    "  ",
    "    ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "\t",
    "\r",
    "\u2028",
    "\x85",
    "\ufeff",
    "\xa0",
    "\u3000",
    "null",
    "~",
    "<<: ",
    "'a\n",
    '"\\\n',
    "\\",
    "`",
    "@",
    "0x10",
    "yes",
    "'b'",
]
WATCHED = ("loader_module", "model_path", "code", "data", "predict_fn", "pickled_model", "python_model")
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 6), st.sampled_from(PIECES)), min_size=1, max_size=3
)


def agree(text: str) -> bool:
    """Whether the text is read at all; then YAML must see no other flavours, keys or values."""
    try:
        ours = _flavours(Path("m"), text.encode())
        theirs = dict(yaml.safe_load(text)).get("flavors")
    except (ModelError, yaml.YAMLError):
        return False
    assert {str(name) for name in theirs or {}} == set(ours), text
    for flavour, keys in (theirs or {}).items():
        for key, value in (keys or {}).items():
            seen = ours[str(flavour)][str(key)]
            if key in WATCHED and isinstance(value, str):
                assert seen == value, text
            assert key not in WATCHED or value is None or seen not in _NOTHING, text
    return True


def fuzz_descriptions(examples: int) -> int:
    passed = 0

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(EDITS)
    def run(edits: list[tuple[float, int, str]]) -> None:
        nonlocal passed
        text = HONEST
        for at, length, piece in edits:
            place = int(at * len(text))
            text = text[:place] + piece + text[place + length :]
        passed += agree(text)

    run()
    return passed


def test_yaml_reads_what_is_read_here() -> None:
    assert agree(HONEST)
    assert fuzz_descriptions(150) > 5


@pytest.mark.long
def test_yaml_reads_what_is_read_here_in_many_spellings() -> None:
    assert fuzz_descriptions(5_000) > 200
