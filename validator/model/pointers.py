"""What stands in a file's place: addresses, pointers to where it is kept, wrappings around it; named, never followed.

Runs on Python 3.9 with the standard library.
"""

from __future__ import annotations

import bz2
import lzma
import os
import re
import zlib
from pathlib import Path
from typing import Any

from validator.model import formats

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_FETCH = {
    "s3": "aws s3 cp {} .",
    "gs": "gcloud storage cp {} .",
    "http": "curl -LO {}",
    "https": "curl -LO {}",
    "models": "mlflow artifacts download -u {}",
    "runs": "mlflow artifacts download -u {}",
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
        if address[1].lower() == "file":
            return "is an address", "Give the path alone, without file://."
        known = _FETCH.get(address[1].lower())
        how = "its own client" if known is None else f"`{known.format(path)}`"
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
    inside = _unpacked(head)
    if b"ustar" in (head[_TAR_MARK], inside[_TAR_MARK]) or name.endswith((".tar.gz", ".tgz", ".tar")):
        return (
            "is a tar archive (as SageMaker's model.tar.gz)",
            "Unpack it with `tar -xf`, and give the model inside.",
        )
    if inside.startswith((b"tree\n", b"tree\r", b"{", b"<")):
        return "is a text that was compressed as a whole", "Unpack it first, and give the file inside."
    return None


def _unpacked(head: bytes) -> bytes:
    """The first bytes inside of something compressed; empty where nothing is, or so few do not tell."""
    made: Any
    for mark, made in (
        (b"\x1f\x8b", lambda: zlib.decompressobj(47).decompress(head, 512)),
        (b"BZh", lambda: bz2.BZ2Decompressor().decompress(head, 512)),
        (b"\xfd7zXZ", lambda: lzma.LZMADecompressor(memlimit=1 << 28).decompress(head, 512)),
    ):
        if head.startswith(mark):
            try:
                return bytes(made())
            except (zlib.error, OSError, EOFError, lzma.LZMAError):
                return b""
    return b""


def of_folder(folder: Path) -> Said | None:
    """What a folder is that another kind of model was saved as."""
    if (folder / "saved_model.pb").is_file():
        return (
            "is a TensorFlow SavedModel",
            f"Export it with `python -m tf2onnx.convert --saved-model {folder} --output model.onnx`, and give that.",
        )
    if (folder / "metadata" / "part-00000").is_file():
        return (
            "is a model of Spark ML",
            "Save the boosted trees inside in their library's own format, or export the model to ONNX.",
        )
    return None


def models_in(folder: Path) -> str:
    """The names of the files right below a folder that are called as models are; of more than 20 how many more."""
    suffixes = (".pkl", ".pickle", ".joblib", ".skops", ".onnx", ".ubj", ".cbm", ".json", ".txt", ".model")
    found = sorted(
        entry.name for entry in os.scandir(folder) if entry.is_file() and entry.name.endswith(suffixes)
    )
    names = [name for name in found if not name.startswith(("requirements", "."))]
    return ", ".join(names[:20]) + (f" and {len(names) - 20:,} more" if len(names) > 20 else "")


def read_head(descriptor: int) -> bytes:
    """The first bytes of an open file, wherever it stands."""
    return os.pread(descriptor, _HEAD, 0)
