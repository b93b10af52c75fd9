"""What an MLflow folder's `MLmodel` names: the model file to judge, and whatever else its users would run.

`mlflow.pyfunc.load_model(folder)` imports the flavour's `loader_module`, puts `code` on the path and gives the loader
`data`: none of that need be the file that was judged. Only YAML as MLflow writes it is read, so that a full YAML
parser cannot see other values: plain keys, one value a line, nothing twice (mlflow.org, "MLflow Models", Storage
Format).

Runs on Python 3.9 with the standard library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from validator.errors import ModelError
from validator.libraries.known import LIBRARIES

# The flavours whose model file can be loaded here, in order of preference, and the keys that name the file.
FLAVOURS = ("onnx", *(library.name for library in LIBRARIES))
_FILE_KEYS = ("pickled_model", "data", "model_path")
_PYTHON = "python_function"
#: Keys whose value is code, or leads to code or to a further model.
_CODE_KEYS = ("code", "python_model", "artifacts", "model_code_path", "code_paths", "loader")
# Can make ONNX Runtime read the file as another format, or read and write other files.
_SESSION = "onnx_session_options.extra_session_config"
# What `predict_fn` and the like may name: methods by which scikit-learn's estimators answer rows.
_ANSWERS = frozenset({
    "predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba", "decision_function", "score",
    "score_samples", "transform",
})  # fmt: skip
# As YAML reads them, without quotes: `None` would be the name of a folder.
_NOTHING = frozenset({"", "null", "Null", "NULL", "~", "{}", "[]"})
_LINE = re.compile(r"( *)([A-Za-z_][\w.-]*):(?: +(.*?))? *$", re.ASCII)
# Any space but the usual one is a part of a value to YAML, and none to who strips it.
_ODD = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f\\ufeff]|[^\\S \\n]")
_PLAIN = re.compile(r"[\w./ :+=<>,~()\-]*\Z", re.ASCII)


@dataclass(frozen=True)
class Description:
    """The model file's path in the folder, and what of the folder is run but not judged, a phrase each."""

    payload: str
    unjudged: tuple[str, ...]


def describe(folder: Path, content: bytes) -> Description:
    """Raises ModelError where there is no flavour that can be judged, or the file is not written as MLflow does."""
    flavours = _flavours(folder, content)
    for name in FLAVOURS:
        for key in _FILE_KEYS:
            if flavours.get(name, {}).get(key, "") not in _NOTHING:
                payload = flavours[name][key]
                return Description(payload, tuple(_unjudged(flavours, name, payload)))
    seen = ", ".join(sorted(flavours)) or "none"
    raise ModelError(
        f"the MLflow model in {folder} has no flavour that can be judged (it has: {seen[:200]})",
        hint=f"log it with the flavour {', '.join(FLAVOURS)}: a custom Python function cannot be converted",
    )


def _unjudged(flavours: dict[str, dict[str, str]], judged: str, payload: str) -> list[str]:
    found: list[str] = []
    for flavour, keys in sorted(flavours.items()):
        if flavour not in (_PYTHON, judged):
            found.append(f"the flavour {flavour}")
        for key in (*_FILE_KEYS, *_CODE_KEYS):
            value = keys.get(key, "")
            if value not in _NOTHING and not (key in _FILE_KEYS and value == payload):
                found.append(f"{flavour}: {key} {value}")
        loader = keys.get("loader_module", "")
        if loader not in _NOTHING and loader != f"mlflow.{judged}":
            found.append(f"{flavour}: loader_module {loader}")
        found += [
            f"{flavour}: {key} {value}"
            for key, value in keys.items()
            if key.endswith("_fn") and value not in _NOTHING | _ANSWERS
        ]
        if _SESSION in keys:
            found.append(f"{flavour}: {_SESSION}")
        model_class = keys.get("model_class", "")
        if model_class not in _NOTHING and not model_class.startswith(f"{judged}."):
            found.append(f"{flavour}: model_class {model_class}")
    return [text[:200] for text in found[:20]]


def _flavours(folder: Path, content: bytes) -> dict[str, dict[str, str]]:
    """The keys of each flavour; that of a key with keys below it is `...`, and so is that of these, after a dot."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _odd(folder, "it is no UTF-8") from error
    if _ODD.search(text.replace("\r\n", "\n")):
        raise _odd(folder, "it holds control characters")
    flavours: dict[str, dict[str, str]] = {}
    top: list[str] = []
    flavour = key = ""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"line {number}"
        found = _LINE.match(line)
        depth = len(line) - len(line.lstrip(" "))
        if depth == 0:
            is_item = line.startswith("- ") and top and top[-1] != "flavors"
            if is_item:
                continue
            if not found or found[2] in top:
                raise _odd(folder, f"{where} is no key, or one for the second time")
            top.append(found[2])
            if found[2] == "flavors" and found[3]:
                raise _odd(folder, f"{where}: the flavours are not listed below their key")
            continue
        if not top:
            raise _odd(folder, f"{where} is indented")
        if top[-1] != "flavors":
            continue
        if found and depth == 2 and not found[3] and found[2] not in flavours:
            flavour, key = found[2], ""
            flavours[flavour] = {}
        elif found and depth == 4 and flavour and found[2] not in flavours[flavour]:
            key = found[2]
            flavours[flavour][key] = _value(folder, found[3] or "", where)
        elif (
            flavour
            and key
            and (depth > 4 or line.startswith("    - "))
            and flavours[flavour][key] in ("", "...")
        ):
            # A quote or bracket opened here would swallow the lines that follow, whatever stands in them.
            item = line.lstrip(" ")
            item = item.removeprefix("- ")
            inner = _LINE.match(item)
            _value(folder, (inner[3] or "") if inner else item.rstrip(), where)
            flavours[flavour][key] = "..."
            if inner:
                flavours[flavour][f"{key}.{inner[2]}"] = "..."
        else:
            raise _odd(folder, f"{where} is not written so by MLflow")
    return flavours


def _value(folder: Path, text: str, where: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    value = text[1:-1] if is_quoted else text
    named_so = is_quoted and value in _NOTHING and value
    if named_so or (value not in _NOTHING and not _PLAIN.match(value)):
        raise _odd(folder, f"the value in {where} is not written so by MLflow")
    return value


def _odd(folder: Path, reason: str) -> ModelError:
    return ModelError(
        f"the MLmodel in {folder} cannot be read with certainty: {reason}",
        hint="log the model again with MLflow; a description that is edited by hand can mean two things",
    )
