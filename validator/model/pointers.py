"""What stands in a file's place: addresses, pointers to where it is kept, wrappings around it; named, never followed.

Runs on Python 3.9 with the standard library.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from validator.model import formats

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_FETCH = {
    "s3": "`aws s3 cp ADDRESS .`",
    "gs": "`gcloud storage cp ADDRESS .`",
    "http": "`curl -LO ADDRESS`",
    "https": "`curl -LO ADDRESS`",
    "models": "`mlflow artifacts download -u ADDRESS`",
    "runs": "`mlflow artifacts download -u ADDRESS`",
}
_DVC = re.compile(rb"(outs|deps|md5|wdir):", re.MULTILINE)
_ANNEX = re.compile(rb"/annex/objects/|\.git/annex/objects/")
_TAR_MARK = slice(257, 262)
_HEAD = 65_536

Said = tuple[str, str]
"""what is in the way, and what to do"""


def of_name(path: str) -> Said | None:
    """What a name says before anything is opened: an address, a home folder, a link into an annex, a .dvc beside."""
    address = _ADDRESS.match(path) or re.match(r"(https?|s3|gs|models|runs):/", path)
    if address:
        how = _FETCH.get(address[1].lower(), "its own client")
        return (
            "is an address, and nothing is fetched here",
            f"Fetch it first, with {how}, and give the file's path.",
        )
    if path.startswith("~"):
        return "begins with ~, which a shell expands and this does not", "Write the path out."
    if Path(path).is_symlink() and _ANNEX.search(os.fsencode(os.readlink(path))):  # noqa: PTH115
        return "is kept by git-annex and not here", f"Fetch it first: `git annex get {path}`."
    if not os.path.lexists(path) and os.path.isfile(f"{path}.dvc"):  # noqa: PTH113
        return "is kept by DVC and not here", f"Fetch it first: `dvc pull {path}.dvc`."
    return None


def of_head(path: str, head: bytes) -> Said | None:
    """What the first bytes say: a pointer of Git LFS, DVC or git-annex, or an archive."""
    name = Path(path).name
    if formats.is_lfs_pointer(head):
        return "is a Git-LFS pointer", "Fetch the file: `lfs: true` for actions/checkout, or `git lfs pull`."
    if name.endswith(".dvc") and _DVC.match(head):
        return "is DVC's pointer", f"Fetch what it points to, `dvc pull {path}`, and give {path[:-4]}."
    if len(head) < 1_000 and _ANNEX.search(head):
        return "is git-annex's pointer", f"Fetch the file first: `git annex get {path}`."
    if name.endswith(".bentomodel"):
        return (
            "is a model of BentoML, an archive",
            "Unpack it with `tar -xf`, and give the saved model inside.",
        )
    if head[_TAR_MARK] == b"ustar" or name.endswith((".tar.gz", ".tgz", ".tar")):
        return (
            "is a tar archive (as SageMaker's model.tar.gz)",
            "Unpack it with `tar -xf`, and give the model inside.",
        )
    return None


def models_in(folder: Path) -> tuple[str, ...]:
    """The files right below a folder whose names are those of models, at most 20 of them."""
    suffixes = (".pkl", ".pickle", ".joblib", ".skops", ".onnx", ".ubj", ".cbm", ".json", ".txt", ".model")
    found = sorted(
        entry.name for entry in os.scandir(folder) if entry.is_file() and entry.name.endswith(suffixes)
    )
    return tuple(name for name in found if not name.startswith(("requirements", ".")))[:20]


def read_head(descriptor: int) -> bytes:
    """The first bytes of an open file, wherever it stands."""
    return os.pread(descriptor, _HEAD, 0)
