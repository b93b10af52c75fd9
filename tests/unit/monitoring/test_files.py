"""Files that are written again: unchanged ones stay, a person's changes are shown, nothing of theirs is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from validator.errors import SettingsError, UsageError
from validator.monitoring.files import MANIFEST, as_yaml, write_files


def became(folder: Path, **files: str) -> list[str]:
    return [one.became for one in write_files(folder, {f"{name}.yml": text for name, text in files.items()})]


def test_what_was_not_touched_is_renewed(tmp_path: Path) -> None:
    assert became(tmp_path, a="1\n") == ["written"]
    assert became(tmp_path, a="1\n") == ["unchanged"]
    assert became(tmp_path, a="2\n") == ["renewed"]
    assert (tmp_path / "a.yml").read_text() == "2\n"


def test_what_a_person_changed_stays_and_is_shown(tmp_path: Path) -> None:
    became(tmp_path, a="1\n", b="1\n")
    (tmp_path / "a.yml").write_text("mine\n")
    assert became(tmp_path, a="1\n", b="2\n") == ["yours", "renewed"]
    (one, _) = write_files(tmp_path, {"a.yml": "2\n", "b.yml": "2\n"})
    assert one.became == "differs"
    assert one.difference[2:] == ("@@ -1 +1 @@", "-mine", "+2")
    assert (tmp_path / "a.yml").read_text() == "mine\n"
    assert became(tmp_path, a="2\n") == ["yours"], "told once"


def test_a_file_of_somebody_else_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("theirs\n")
    assert became(tmp_path, a="1\n") == ["differs"]
    assert (tmp_path / "a.yml").read_text() == "theirs\n"


def test_what_was_removed_is_written_again(tmp_path: Path) -> None:
    became(tmp_path, a="1\n")
    (tmp_path / "a.yml").unlink()
    assert became(tmp_path, a="1\n") == ["written"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("x")
    (tmp_path / "a.yml").symlink_to(tmp_path / "target")
    with pytest.raises(UsageError, match="no plain file"):
        became(tmp_path, a="1\n")
    assert (tmp_path / "target").read_text() == "x"


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"schema_version": 2, "files": {}}', '{"schema_version": 1, "files": [1]}']
)
def test_a_damaged_memory_is_told_of(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(SettingsError, match=r"damaged|another release"):
        became(tmp_path, a="1\n")
    assert not (tmp_path / "a.yml").exists()


def test_yaml_comes_back_as_it_was_whatever_is_in_it() -> None:
    value = {
        "a": [
            "{{ x }}",
            'b": c',
            "- d\n# e\n",
            "!!python/object:x",
            "yes",
            "1e3",
            "\u0085\u2028 \x07",
            None,
            1.5,
        ]
    }
    assert yaml.safe_load(as_yaml(value, about="x")) == value
