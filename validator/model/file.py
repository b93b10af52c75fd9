"""The model file as it lies on disk: what it is, how long, and its hash. Opens and reads; executes nothing.

Runs on Python 3.9 with the standard library, since workers in foreign environments identify files too.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Union

from validator.errors import ModelError, UsageError
from validator.libraries.known import LIBRARIES
from validator.model import formats, mlflow_folder, pointers
from validator.permissions import remedy

_BLOCK = 1 << 20
_MOST_ONNX_BYTES = 2**31 - 1  # protobuf reads no longer message
_MOST_FILES = 10_000
_MLMODEL_BYTES = 1 << 20
_OWN = ", ".join(form.shown for library in LIBRARIES for form in library.formats)
_SUPPORTED = f"a pickle or joblib file, {_OWN}, ONNX, skops, or an MLflow folder"

PathLike = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class ModelFile:
    """A model file that was opened, hashed and recognised.

    `sha256` of an MLflow folder is that of its listing: one line `<sha256>  <relative path>` a file, sorted;
    `payload` is then the model file inside it that is to be loaded, and `unjudged` what else of the folder MLflow
    would run. `compression` is empty but for joblib.
    """

    path: Path
    format: str
    size_bytes: int
    sha256: str
    compression: str = ""
    payload: ModelFile | None = None
    unjudged: tuple[str, ...] = ()

    @property
    def loadable(self) -> ModelFile:
        """The file that a library would open: the one inside the folder, or this one."""
        return self.payload or self

    @property
    def is_pickle(self) -> bool:
        """Whether loading it means unpickling."""
        return self.loadable.format in {"pickle", "joblib"}


def identify(path: PathLike) -> ModelFile:
    """Recognise the model file or MLflow folder at `path`.

    Raises UsageError where there is nothing to judge (no such file, a plain folder, a link, a pipe or device,
    not readable), and ModelError where there is a file but no model in it (empty, Git-LFS pointer, unknown).
    """
    target = Path(path)
    if (said := pointers.of_name(os.fspath(path))) is not None:
        raise UsageError(f"{path} {said[0]}", hint=said[1])
    mode = _mode(target)
    if stat.S_ISDIR(mode):
        return _identify_folder(target)
    with open_regular(target) as stream:
        return _identify_stream(target, stream)


def read_verified(model: ModelFile) -> bytes:
    """The bytes of a file identified earlier; ModelError if they are no longer those that were hashed."""
    with open_regular(model.path) as stream:
        # One byte more than expected is enough to see that it grew, and a file that never ends does no harm.
        content = stream.read(model.size_bytes + 1)
    if hashlib.sha256(content).hexdigest() != model.sha256:
        raise ModelError(
            f"{model.path} changed while it was being judged",
            hint="write the model file completely before validating it; let nothing rewrite it meanwhile",
        )
    return content


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading, following no link and never waiting on a pipe."""
    mode = _mode(path)
    if not stat.S_ISREG(mode):
        raise UsageError(
            f"{path} is {_kind(mode)}, not a regular file",
            hint="give the path of the model file itself",
        )
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be opened: {error.strerror}",
            hint=remedy(error, path, "let this user read the file"),
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"{path} is not a regular file", hint="give the path of the model file itself")
    return os.fdopen(descriptor, "rb")


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(
            f"there is no model file at {path}",
            hint="check the path: it counts from the working directory (in the action, the checkout)",
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path!s} cannot be looked at: {error}", hint="check the path") from error


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISCHR, "a device"),
    ):
        if test(mode):
            return name
    return "something special"


def refuse_outside(path: PathLike, roots: Sequence[PathLike]) -> None:
    """Raise UsageError where what is at `path`, all links followed, lies below none of the folders `roots`."""
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(os.path.realpath(root)) for root in roots):
        raise UsageError(
            f"{path} lies outside of {' and '.join(map(str, roots))}",
            hint="put it inside the workspace and give its path without links or `..`",
        )


def _identify_stream(path: Path, stream: BinaryIO) -> ModelFile:
    size, digest = _hash(stream)
    if size == 0:
        raise ModelError(
            f"{path} is empty",
            hint="the write that should have made it failed, or the upload did: write the model again",
        )
    stream.seek(0)
    head = stream.read(formats.HEAD_BYTES)
    if (said := pointers.of_head(os.fspath(path), head)) is not None:
        raise ModelError(f"{path} {said[0]}, not the model", hint=said[1])
    refused = formats.refused(head)
    if refused is not None:
        raise ModelError(f"{path} is {refused.what}", hint=refused.remedy)
    name, compression = formats.format_of(stream, size)
    if name == "onnx" and size > _MOST_ONNX_BYTES:
        raise ModelError(
            f"{path} takes {size / 2**30:.1f} GiB, and an ONNX file that stands alone ends at 2 GiB",
            hint="export a smaller model; one whose numbers are in files beside it is not read here",
        )
    if name == "unknown" and (other := formats.other_model(head)) is not None:
        raise ModelError(f"{path} is {other[0]}, which cannot be judged as it is", hint=other[1])
    if name == "unknown":
        raise ModelError(
            f"{path} is {formats.describe_unknown(head)}, not a model that can be judged",
            hint=f"save the model as {_SUPPORTED}",
        )
    return ModelFile(path, name, size, digest, compression)


def _hash(stream: BinaryIO) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    stream.seek(0)
    while True:
        block = stream.read(_BLOCK)
        if not block:
            return size, digest.hexdigest()
        digest.update(block)
        size += len(block)


def _identify_folder(folder: Path) -> ModelFile:
    description = folder / "MLmodel"
    if not description.is_file() or description.is_symlink():
        if (said := pointers.of_folder(folder)) is not None:
            raise UsageError(f"{folder} {said[0]}", hint=said[1])
        inside = pointers.models_in(folder)
        raise UsageError(
            f"{folder} is a folder without an MLmodel file{f'; it holds {inside}' if inside else ''}",
            hint="give the path of one model file, of several, or of a folder that MLflow wrote",
        )
    with open_regular(description) as stream:
        content = stream.read(_MLMODEL_BYTES + 1)
    if len(content) > _MLMODEL_BYTES:
        raise ModelError(f"the MLmodel in {folder} is larger than a mebibyte", hint="log the model again")
    described = mlflow_folder.describe(folder, content)
    name = described.payload
    payload_path = folder / name
    refuse_outside(payload_path, [folder])
    if stat.S_ISDIR(_mode(payload_path)):
        raise ModelError(
            f"the MLflow model in {folder} names the folder {name} as its model",
            hint="log it so that its flavour stores one file, for instance with `mlflow.sklearn.log_model`",
        )
    payload = identify(payload_path)
    size, digest = _hash_folder(folder)
    return ModelFile(folder, "mlflow", size, digest, "", payload, described.unjudged)


def _hash_folder(folder: Path) -> tuple[int, str]:
    total = 0
    lines: list[str] = []
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in [entry for entry in folders if (Path(root) / entry).is_symlink()] + sorted(names):
            path = Path(root) / name
            with open_regular(path) as stream:
                size, digest = _hash(stream)
            total += size
            lines.append(f"{digest}  {path.relative_to(folder).as_posix()}\n")
            if len(lines) > _MOST_FILES:
                raise ModelError(
                    f"{folder} holds more than {_MOST_FILES:,} files", hint="give the model file alone"
                )
    listing = "".join(sorted(lines, key=lambda line: line[66:])).encode("utf-8", "surrogateescape")
    return total, hashlib.sha256(listing).hexdigest()
