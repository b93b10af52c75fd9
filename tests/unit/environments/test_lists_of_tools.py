"""Requirements as people's tools write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from validator.environments import requirements
from validator.errors import UsageError


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "pyproject.toml",
            '[project]\nname = "x"\ndependencies = ["scikit-learn==1.2.2", "numpy<2"]\n',
            {"scikit-learn==1.2.2", "numpy<2"},
        ),
        (
            "pylock.toml",
            'lock-version = "1.0"\n[[packages]]\nname = "lightgbm"\nversion = "4.3.0"\n'
            '[[packages]]\nname = "colorama"\nversion = "0.4"\nmarker = "sys_platform == \'win32\'"\n',
            {"lightgbm==4.3.0", 'colorama==0.4; sys_platform == "win32"'},
        ),
        (
            "Pipfile.lock",
            '{"default": {"xgboost": {"version": "==2.0.3", "hashes": ["sha256:00"]}}, "develop": {"pytest": {}}}',
            {"xgboost==2.0.3"},
        ),
        (
            "environment.yml",
            "name: x\ndependencies:\n  - python=3.11\n  - scikit-learn=1.4\n  - conda-forge::numpy=1.26.4=py311h\n"
            "  - libgcc-ng\n  - py-xgboost==2.0.3\n  - pip:\n    - lightgbm==4.3.0\n    - numpy==1.26.3\n",
            {"scikit-learn==1.4.*", "xgboost==2.0.3", "lightgbm==4.3.0", "numpy==1.26.3"},
        ),
    ],
)
def test_names_and_versions_are_read(tmp_path: Path, name: str, text: str, expected: set[str]) -> None:
    path = tmp_path / name
    path.write_text(text)
    found = requirements.read([str(path)])
    assert expected <= set(found.lines)
    assert ("libgcc-ng" in found.source) == (name == "environment.yml")


@pytest.mark.parametrize("name", ["uv.lock", "poetry.lock", "Pipfile", "pdm.lock"])
def test_others_are_named_with_the_command_that_writes_a_list(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("version = 1\n")
    with pytest.raises(UsageError) as caught:
        requirements.read([str(path)])
    assert "requirements.txt" in str(caught.value.hint)


def test_poetrys_own_form_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text('[tool.poetry.dependencies]\npython = "^3.11"\nscikit-learn = "^1.4"\n')
    with pytest.raises(UsageError, match="Poetry"):
        requirements.read([str(path)])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_file_of_powershell_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("scikit-learn==1.4.0\n", encoding=encoding)
    assert "scikit-learn==1.4.0" in requirements.read([str(path)]).lines
