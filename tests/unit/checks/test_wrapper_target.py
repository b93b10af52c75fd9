"""What `--wrapper` may name, and what of the workspace the worker then sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from validator.checks.wrapper.find import find_wrapper, siblings
from validator.cli.targets import targets
from validator.errors import UsageError
from validator.settings.sources import resolve
from validator.settings.table import defaults_for

METHODS = defaults_for("wrapper_methods").default


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A repository with a wrapper, modules and packages beside it, and what no worker should see."""
    for name in (
        "serving.py",
        "features.py",
        "src/deep/__init__.py",
        "app/__init__.py",
        "app/web/__init__.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "app/web/handler.py").touch()
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/module.py").touch()
    for name in (".env", "secrets.json", "not-a-module.py"):
        (tmp_path / name).write_text("secret")
    (tmp_path / ".git").mkdir()
    (tmp_path / "model.pkl").write_bytes(b"model")
    (tmp_path / "outside.py").symlink_to("/etc/passwd")
    (tmp_path / "inside.py").symlink_to("features.py")
    return tmp_path


def find(target: str, workspace: Path, methods: tuple[str, ...] = METHODS):
    return find_wrapper(target, methods, workspace / "model.pkl", workspace)


def test_a_file_brings_the_modules_beside_it_and_nothing_else(workspace: Path) -> None:
    wrapper = find("serving.py:Wrapper", workspace)
    assert wrapper.options["file"] == str(workspace / "serving.py")
    assert wrapper.options["module"] == "serving"
    assert wrapper.options["methods"]["batch"] == "predict_batch"
    assert set(wrapper.packages) == {"serving", "features", "app", "inside"}
    assert wrapper.packages["inside"] == str(workspace / "features.py")
    assert wrapper.readable == ()


def test_a_file_in_a_package_is_imported_as_its_module(workspace: Path) -> None:
    wrapper = find("app/web/handler.py:make", workspace)
    assert (wrapper.options["module"], "file" in wrapper.options) == ("app.web.handler", False)
    assert wrapper.packages["app"] == str(workspace / "app")


@pytest.mark.parametrize(
    ("target", "package", "place"),
    [
        ("app.web.handler:make", "app", "app"),
        ("deep:Wrapper", "deep", "src/deep"),
        ("plain.module:Wrapper", "plain", "plain"),
        ("json:loads", None, None),
    ],
)
def test_a_module_is_looked_for_in_the_workspace_then_among_what_is_installed(
    workspace: Path, target: str, package: str | None, place: str | None
) -> None:
    found = find(target, workspace)
    assert found.options["module"] == target.partition(":")[0]
    if package is None:
        assert found.packages == {}
    else:
        assert found.packages[package] == str(workspace / str(place))


def test_methods_have_other_names_or_are_not_there(workspace: Path) -> None:
    found = find("serving.py:W", workspace, ("open", "score", "-", "-"))
    assert found.options["methods"] == {
        "load": "open",
        "predict": "score",
        "single": "",
        "batch": "",
        "latency": "latency_stats",
        "metadata": "metadata",
    }


@pytest.mark.parametrize(
    ("target", "methods", "message"),
    [
        ("nowhere.py:Wrapper", METHODS, "no wrapper file"),
        ("serving.py", METHODS, "names no wrapper"),
        ("serving.py:", METHODS, "names no wrapper"),
        ("serving.py:not a name", METHODS, "names no wrapper"),
        ("some/path:Wrapper", METHODS, "is no module"),
        ("mlflow:plain", METHODS, "holds no file MLmodel"),
        ("mlflow:", METHODS, "holds no file MLmodel"),
        ("serving.py:W", ("a", "b", "c", "d", "e", "f", "g"), "has 7 names, there are 6"),
        ("serving.py:W", ("load it",), "'load it' is no method's name"),
    ],
)
def test_what_names_no_wrapper_is_a_usage_error(
    workspace: Path, target: str, methods: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        find(target, workspace, methods)
    assert caught.value.hint


def test_an_mlflow_folder_must_hold_the_judged_model(workspace: Path) -> None:
    folder = workspace / "logged"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").touch()
    (folder / "data/other.pkl").write_bytes(b"other")
    with pytest.raises(UsageError, match=r"does not hold .*model\.pkl, the model that is judged"):
        find("mlflow:logged", workspace)
    (folder / "data/model.pkl").write_bytes(b"model")
    found = find("mlflow:logged", workspace)
    assert found.options == {"folder": str(folder), "inside": "data/model.pkl"}
    assert found.readable == (str(folder),)
    own = find_wrapper("mlflow:", METHODS, folder / "data/model.pkl", workspace)
    assert own.options == found.options


def test_a_missing_folder_has_no_modules(tmp_path: Path) -> None:
    assert siblings(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    ("given", "anchored"),
    [
        ("serving.py:W", "conf/serving.py:W"),
        ("mlflow:logged", "mlflow:conf/logged"),
        ("app.web:W", "app.web:W"),
    ],
)
def test_a_path_in_a_configuration_counts_from_its_folder(tmp_path: Path, given: str, anchored: str) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/preflight.toml").write_text(f'wrapper = "{given}"\n')
    assert resolve({"config": "conf/preflight.toml"}, {}, tmp_path).wrapper == anchored


def test_each_of_several_models_may_have_its_own_wrapper(tmp_path: Path) -> None:
    (tmp_path / "preflight.toml").write_text(
        'wrapper = "all.py:W"\n[[models]]\nmodel = "a.pkl"\nwrapper = "a.py:W"\nwrapper_methods = ["open"]\n'
        '[[models]]\nmodel = "b.pkl"\n'
    )
    first, second = targets(resolve({}, {}, tmp_path))
    assert (first.wrapper, first.wrapper_methods) == ("a.py:W", ("open",))
    assert (second.wrapper, second.wrapper_methods) == ("all.py:W", METHODS)


def test_a_whole_repository_is_never_opened(workspace: Path) -> None:
    (workspace / "__init__.py").touch()
    (workspace / "MLmodel").touch()
    assert find("serving.py:W", workspace).options["module"] == "serving"
    (workspace / "app/.git").mkdir()
    assert "app" not in find("serving.py:W", workspace).packages
    with pytest.raises(UsageError, match="is a whole repository"):
        find("mlflow:.", workspace)
