"""A folder of Parquet files as one sample: its parts in the order of their names, and what its folders say."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from validator.errors import SampleError
from validator.model import pointers

SUFFIXES = (".parquet", ".pq")
_MOST_PARTS = 2_000
_NOTHING = "__HIVE_DEFAULT_PARTITION__"
_TABLES = {"_delta_log": "a Delta table", ".hoodie": "a Hudi table"}
_ONE_FILE = "give one file, or a folder of Parquet files alone"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file, and the columns that `name=value` folders above it stand for; None is a missing value."""

    path: str
    partition: dict[str, str | None]


def parts_of(folder: str) -> tuple[Part, ...]:
    """The Parquet files below a folder; names that begin with a dot or an underscore are others' notes.

    Raises SampleError for a folder that holds none, or too many, or other files, links and pointers.
    """
    found: list[Part] = []
    for place, folders, names in os.walk(folder):
        for name in folders:
            if name in _TABLES:
                raise SampleError(
                    f"the sample {folder} is {_TABLES[name]}, whose files hold rows that are deleted too",
                    hint="write the rows that count into one Parquet file, or into a folder of their own",
                )
        folders[:] = sorted(name for name in folders if _counts(name))
        for name in [*folders, *sorted(filter(_counts, names))]:
            path = Path(place, name)
            if path.is_symlink():
                raise SampleError(
                    f"the sample {folder} holds the link {name}", hint="put the file itself there"
                )
            if name not in folders:
                found.append(_part(Path(folder), path))
        if len(found) > _MOST_PARTS:
            raise SampleError(
                f"the sample {folder} has more than {_MOST_PARTS:,} files",
                hint="write it in fewer, larger parts",
            )
    if not found:
        raise SampleError(f"the sample {folder} is a folder without Parquet files", hint=_ONE_FILE)
    keys = {tuple(part.partition) for part in found}
    if len(keys) > 1:
        raise SampleError(
            f"the sample {folder} has parts in folders of different columns: "
            f"{' and '.join(sorted(', '.join(one) or 'none' for one in keys)[:3])}",
            hint="give a folder whose parts all lie equally deep",
        )
    return tuple(found)


def _counts(name: str) -> bool:
    return not name.startswith((".", "_"))


def _part(folder: Path, path: Path) -> Part:
    if path.suffix.lower() not in SUFFIXES:
        raise SampleError(
            f"the sample {folder} holds {path.relative_to(folder)}, which is no Parquet file", hint=_ONE_FILE
        )
    if not path.is_file():
        raise SampleError(f"the sample's part {path} is no regular file", hint=_ONE_FILE)
    with path.open("rb") as file:
        if (said := pointers.of_head(str(path), pointers.read_head(file.fileno()))) is not None:
            raise SampleError(f"the sample's part {path} {said[0]}, not the rows", hint=said[1])
    pairs = [name.partition("=") for name in path.relative_to(folder).parts[:-1] if "=" in name]
    values = {unquote(key): unquote(value) for key, _, value in pairs}
    return Part(
        path=str(path.absolute()),
        partition={key: None if value == _NOTHING else value for key, value in values.items()},
    )
