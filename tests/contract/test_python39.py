"""What runs in the environment that a model was trained in keeps to Python 3.9: its grammar and its library."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

import pytest

import validator

ROOT = Path(validator.__file__).parent
#: The jobs that run under a foreign interpreter, and what starts them.
_JOBS = ("native", "export", "wrapper", "environment", "estimator")
_STARTS = (
    "sandbox.inside.bootstrap",
    "sandbox.inside.zygote",
    "sandbox.inside.child",
    *(f"worker.jobs.{name}" for name in _JOBS),
)
#: Names that Python 3.9 does not have, by the module that they are imported from.
_LATER = {
    "enum": {"StrEnum"},
    "typing": {"Self", "TypeAlias", "assert_never", "Never", "ParamSpec", "override"},
    "datetime": {"UTC"},
    "itertools": {"pairwise", "batched"},
}


@lru_cache(maxsize=1)
def _reachable() -> dict[str, ast.Module]:
    """Every module of ours that those jobs can come to import, parsed by the grammar of Python 3.9."""
    found: dict[str, ast.Module] = {}
    waiting = list(_STARTS)
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if not name or name in found or path is None:
            continue
        found[name] = ast.parse(path.read_text(), str(path), feature_version=(3, 9))
        for node in _run(found[name]):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("validator"):
                base = (node.module or "").removeprefix("validator").lstrip(".")
                waiting += [base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)]
    return found


def _run(tree: ast.AST):
    """All nodes but those below `if TYPE_CHECKING`, which no interpreter runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _run(node)


def _file(name: str) -> Path | None:
    base = ROOT.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


@pytest.mark.parametrize("name", sorted(set(_reachable()) - {"python39"}))
def test_a_module_that_runs_where_a_model_was_trained_keeps_to_python_39(name):
    wrong = []
    for node in _run(_reachable()[name]):
        if isinstance(node, ast.ImportFrom) and not node.level:
            wrong += [alias.name for alias in node.names if alias.name in _LATER.get(node.module or "", ())]
            if node.module == "dataclasses" and "kw_only" in ast.unparse(_reachable()[name]):
                wrong += ["kw_only" for alias in node.names if alias.name == "dataclass"]
        if isinstance(node, ast.Import):
            wrong += [alias.name for alias in node.names if alias.name == "tomllib"]
        if isinstance(node, ast.Call):
            keywords = {keyword.arg for keyword in node.keywords}
            wrong += ["zip(strict=)"] if ast.unparse(node.func) == "zip" and "strict" in keywords else []
            wrong += ["slots="] if ast.unparse(node.func) == "dataclass" and "slots" in keywords else []
            union = ast.unparse(node.func) == "isinstance" and isinstance(node.args[-1], ast.BinOp)
            wrong += ["isinstance with |"] if union else []
        if isinstance(node, ast.Try):
            wrong += ["except*"] if type(node).__name__ == "TryStar" else []
    assert not wrong, f"validator.{name}: use validator.python39 instead of {wrong}"


def test_the_jobs_the_converter_and_the_loader_are_among_them():
    assert set(_STARTS) <= set(_reachable())
    wanted = {"pipelines.fallback", "trees.writer", "model.safety.loader", "libraries.export", "table"}
    assert wanted <= set(_reachable())
