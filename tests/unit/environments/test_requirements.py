"""What requirements are taken, how they are normalised, and which are refused because they would run code."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.environments import requirements
from validator.errors import UsageError


def test_a_file_is_read_with_its_comments_continuations_and_nested_files(tmp_path):
    (tmp_path / "base.txt").write_text("scipy>=1.7 ; python_version >= '3.8'\n--only-binary :all:\n")
    file = tmp_path / "requirements.txt"
    file.write_text(
        "# trained with\n-r base.txt\nscikit-learn == 1.2.2  # the model\n\nlightgbm>=3.3, \\\n  <4\n--pre\n"
    )
    found = requirements.read([str(file)])
    assert found.lines == (
        "--pre", 'scipy>=1.7; python_version >= "3.8"', "scikit-learn==1.2.2", "lightgbm<4,>=3.3", "numpy",
    )  # fmt: skip
    assert not found.hashed


def test_numpy_is_added_and_kept_below_2_where_old_releases_need_it():
    assert requirements.read(["scikit-learn==1.0.2"]).constraints == ("numpy<2", "onnx<1.17")
    assert requirements.read(["scikit-learn>=1.2,<1.3"]).constraints == ("numpy<2",)
    assert requirements.read(["scikit-learn==1.2.2", "numpy==1.23.5"]).constraints == ()
    assert requirements.read(["scikit-learn>=1.2"]).constraints == ()
    assert requirements.read(["scikit-learn~=1.0.1"]).constraints == ("numpy<2", "onnx<1.17")
    assert requirements.read(["scikit-learn==1.2.*"]).constraints == ("numpy<2",)
    assert requirements.read(["lightgbm==4.5.0", "pandas>=3"]).constraints == ()
    assert requirements.read(["xgboost==3.0.0"]).lines == ("xgboost==3.0.0", "numpy")


def test_xgboost_gets_what_its_old_releases_need_and_do_not_say():
    found = requirements.read(["xgboost==1.6.2", "pandas"])
    assert found.lines == ("xgboost==1.6.2", "pandas", "numpy", "setuptools<80")
    assert found.constraints == ("numpy<2", "pandas<2")
    assert requirements.read(["xgboost==1.6.2", "setuptools", "numpy"]).lines[1:] == ("setuptools", "numpy")
    assert requirements.read(["xgboost==1.7.6"]).lines == ("xgboost==1.7.6", "numpy")


def test_the_converter_comes_along_for_scikit_learn_unless_hashes_forbid_it():
    assert requirements.read(["Scikit_Learn==1.5.0"]).helpers == ("skl2onnx", "onnx")
    assert requirements.read(["lightgbm==4.5.0"]).helpers == ()
    hashed = requirements.read([f"scikit-learn==1.5.0 --hash=sha256:{'0a' * 32}"])
    assert hashed.hashed
    assert hashed.helpers == ()
    assert hashed.lines == (f"scikit-learn==1.5.0 --hash=sha256:{'0a' * 32}",)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("-e .", "-e is not taken"),
        ("--editable=./mine", "--editable is not taken"),
        ("--no-binary :all:", "--no-binary is not taken"),
        ("--trusted-host evil.example", "--trusted-host is not taken"),
        ("--global-option=x", "--global-option is not taken"),
        ("--index-url http://plain.example/simple", "https"),
        ("--find-links ./wheels", "https"),
        ("mine @ git+https://github.com/me/mine", "of a wheel"),
        ("mine @ https://example.com/mine-1.0.tar.gz", "of a wheel"),
        ("mine @ file:///tmp/mine-1.0-py3-none-any.whl", "a path of the machine"),
        ("git+https://github.com/me/mine", "no requirement"),
        ("./mine-1.0.tar.gz", "no requirement"),
        ("scikit-learn=1.2", "no requirement"),
        ("numpy --config-settings=x", "no requirement"),
        ("numpy --hash=sha256:00 --install-option=x", "an option that is not taken"),
        ("--extra-index-url https://u:${TOKEN}@index.example/", "variables are not expanded"),
        ("-r ../elsewhere.txt", "out of the folder"),
        ("-r absent.txt", "no such file"),
        ("-r requirements.txt", "round in a circle"),
    ],
)
def test_what_would_run_code_or_leave_the_folder_is_refused_by_its_line(tmp_path, line, why):
    file = tmp_path / "requirements.txt"
    file.write_text(f"numpy\n{line}\n")
    with pytest.raises(UsageError, match=why) as caught:
        requirements.read([str(file)])
    assert caught.value.hint


def test_addresses_of_wheels_and_https_indexes_are_taken():
    wheel = "mine @ https://example.com/mine-1.0-py3-none-any.whl"
    found = requirements.read(
        [wheel, "-i https://index.example/simple", "--extra-index-url=https://a.example"]
    )
    assert found.lines[:2] == (
        "--index-url https://index.example/simple",
        "--extra-index-url https://a.example",
    )
    assert wheel in found.lines


@pytest.mark.parametrize("item", ["absent.txt", "./absent", "/absent/requirements.txt", "conda.yaml"])
def test_a_missing_file_is_named(item, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="there is no requirements file"):
        requirements.read([item])


def test_requirements_without_a_package_are_an_error(tmp_path):
    (tmp_path / "empty.txt").write_text("# nothing\n--pre\n")
    with pytest.raises(UsageError, match="name no package"):
        requirements.read([str(tmp_path / "empty.txt")])


@given(st.text(max_size=60))
def test_any_text_is_either_taken_or_refused(text):
    try:
        found = requirements.read([text])
    except UsageError:
        return
    assert all("\n" not in line for line in found.lines)
    assert all(not line.startswith(("-e", "--no-binary")) for line in found.lines)


@pytest.fixture
def mlflow_model(tmp_path: Path) -> Path:
    """A folder as MLflow 2 writes it."""
    (tmp_path / "MLmodel").write_text(
        "flavors:\n  python_function:\n    env:\n      conda: conda.yaml\n    python_version: 3.9.18\n"
        "  sklearn:\n    code: null\n    pickled_model: model.pkl\n    sklearn_version: 1.2.2\n"
    )
    (tmp_path / "requirements.txt").write_text("mlflow==2.9.2\nlightgbm==3.3.5\nscikit-learn==1.2.2\n")
    (tmp_path / "python_env.yaml").write_text(
        "python: 3.9.17\nbuild_dependencies:\n- pip==23.0\ndependencies:\n- -r requirements.txt\n"
    )
    (tmp_path / "conda.yaml").write_text(
        "channels:\n- conda-forge\ndependencies:\n- python=3.9.17\n- pip<=23.0\n- pip:\n  - mlflow==2.9.2\n"
        "  - scikit-learn==1.2.2\nname: mlflow-env\n"
    )
    return tmp_path


def test_an_mlflow_folder_tells_its_requirements_and_its_python(mlflow_model):
    found = requirements.read(["mlflow"], mlflow_model)
    assert found.python == "3.9.17"
    assert found.lines == ("lightgbm==3.3.5", "scikit-learn==1.2.2", "numpy")
    assert requirements.read([str(mlflow_model / "requirements.txt")]).python == "3.9.17"


def test_its_conda_file_serves_where_there_is_no_other(mlflow_model):
    (mlflow_model / "requirements.txt").unlink()
    found = requirements.read(["mlflow"], mlflow_model)
    assert found.python == "3.9.17"
    assert found.lines == ("scikit-learn==1.2.2", "numpy")


def test_its_python_env_file_leads_to_the_requirements(mlflow_model):
    found = requirements.read([str(mlflow_model / "python_env.yaml")])
    assert found.python == "3.9.17"
    assert "scikit-learn==1.2.2" in found.lines


def test_a_folder_without_either_and_a_model_that_is_no_folder_are_errors(mlflow_model):
    for name in ("requirements.txt", "conda.yaml"):
        (mlflow_model / name).unlink()
    with pytest.raises(UsageError, match="neither"):
        requirements.read(["mlflow"], mlflow_model)
    with pytest.raises(UsageError, match="no MLflow folder"):
        requirements.read(["mlflow"])


def test_recorded_versions_are_those_of_the_flavour_before_those_of_the_requirements(mlflow_model):
    from validator.environments import mlflow

    (mlflow_model / "requirements.txt").write_text(
        "scikit_learn==1.2.0\nxgboost[x]==1.7.6 ; python_version>'3'\n"
    )
    assert mlflow.recorded_versions(mlflow_model) == {"scikit-learn": "1.2.2", "xgboost": "1.7.6"}


# --- which files decide ---
NAMED = {
    "plain": ("r.txt", "-r deep.lst\nnumpy\n"),
    "a project": ("pyproject.toml", '[project]\nname = "x"\ndependencies = ["-r deep.lst"]\n'),
    "a lock": ("Pipfile.lock", '{"default": {"--requirement=deep.lst": {"version": ""}}}'),
    "conda": ("env.yaml", "dependencies:\n- pip:\n  - -r deep.lst\n"),
}


@pytest.mark.parametrize("kind", NAMED)
def test_what_a_file_of_any_form_names_is_among_the_files_read(kind, tmp_path):
    name, text = NAMED[kind]
    (tmp_path / name).write_text(text)
    (tmp_path / "deep.lst").write_text("scikit-learn==1.5.0\n")
    assert "scikit-learn==1.5.0" in requirements.read([str(tmp_path / name)]).lines
    assert tmp_path / "deep.lst" in requirements.files_read([str(tmp_path / name)])


def test_an_item_may_name_a_file_and_a_nested_file_is_read_as_plain_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list").write_text("-r odd.yaml\n")
    (tmp_path / "odd.yaml").write_text("-r deep.lst\n")
    (tmp_path / "deep.lst").write_text("scikit-learn==1.5.0\n")
    assert "scikit-learn==1.5.0" in requirements.read(["-r list"]).lines
    assert {Path("list"), Path("odd.yaml"), Path("deep.lst")} <= set(requirements.files_read(["-r list"]))


def test_a_conda_file_beside_another_is_looked_into_all_the_same(tmp_path):
    (tmp_path / "requirements.txt").write_text("numpy\n")
    (tmp_path / "conda.yaml").write_text("dependencies:\n- pip:\n  - -r deep.lst\n")
    items = [str(tmp_path / name) for name in ("conda.yaml", "requirements.txt")]
    assert tmp_path / "deep.lst" in requirements.files_read(items)
