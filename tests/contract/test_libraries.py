"""What CONTRIBUTING promises of model libraries: another one is a folder and its name, and nothing else names one."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import grimp

import validator
from validator.libraries.known import LIBRARIES

ROOT = Path(validator.__file__).parent
NEW = Path(__file__).parents[1] / "unit" / "libraries" / "new_library"

#: Who names a model library outside of `libraries/`, and why it may. scikit-learn is a tool as well.
NAMED = {
    "checks/preload.py": "the metrics of quality are scikit-learn's",
    "environments/interpreter.py": "a hint gives two formats as examples",
    "environments/lists_of_tools.py": "the packages that conda has under names of its own",
    "environments/requirements.py": "a hint gives an example, and skl2onnx is for scikit-learn",
    "extras.py": "the distribution's extras, by the modules that they bring",
    "model/file.py": "a hint gives a line of MLflow's as an example",
    "model/safety/findings.py": "the scanner: the boosters that pickles hold",
    "model/safety/embedded.py": "the scanner: how the boosters that pickles hold are checked",
    "model/safety/policy.py": "the scanner: where old releases of scikit-learn had their modules",
    "model/safety/rules.py": "the scanner: what scikit-learn's classes may be given",
    "model/safety/stand_ins.py": "the scanner: whose functions give a booster rows and never the path of a file",
    "model/safety/values.py": "the scanner: which attributes of scikit-learn's classes name functions",
    "model/safety/loader.py": "the scanner: modules that scikit-learn writes under other names",
    "model/safety/skops_nodes.py": "the scanner: a tree of scikit-learn has a loader of its own in skops",
    "model/safety/symbols.py": "the scanner: scikit-learn's dictionaries whose keys are attributes",
    "model/safety/versions.py": "the scanner: the versions that pickled objects record",
    "pipelines": "the steps of scikit-learn's pipelines, by their classes",
    "trees/leaf_nodes.py": "a hint",
    "trees/rows/boundary.py": "rows at the edges of the zone that LightGBM reads as zero",
    "worker/quality/scores.py": "the metrics of quality are scikit-learn's",
}
_NAME = re.compile(r"lightgbm|xgboost|catboost|sklearn|scikit-learn|LGBM|XGB", re.IGNORECASE)


def _names(path: Path) -> list[str]:
    """Strings, imports and definitions in which a library is named; comments and docstrings are free to."""
    content = path.read_text()
    if not _NAME.search(content):
        return []
    tree = ast.parse(content)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)) and id(node) not in said:
            found.append(str(node.value))
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.append(node.name)
    return [text for text in found if _NAME.search(text)]


def test_only_those_on_the_list_name_a_library() -> None:
    places = {str(path.relative_to(ROOT)): _names(path) for path in ROOT.rglob("*.py")}
    naming = {place: names for place, names in places.items() if names and not place.startswith("libraries/")}
    free = {
        place: names for place, names in naming.items() if not {place, place.partition("/")[0]} & NAMED.keys()
    }
    assert free == {}, "put it into the library's record, or on the list with a reason"


def test_every_library_has_what_is_looked_for_by_its_name() -> None:
    for library in LIBRARIES:
        folder = ROOT / "libraries" / library.name
        assert (folder / "live.py").is_file()
        assert (folder / "trees.py").is_file()
        assert library.live().__class__.__module__ == f"validator.libraries.{library.name}.live"
    for names in (
        [library.kind for library in LIBRARIES],
        [form.name for library in LIBRARIES for form in library.formats],
        [library.recorded_as for library in LIBRARIES],
    ):
        assert len(set(names)) == len(names)


def test_another_library_is_a_folder_and_its_name(tmp_path: Path) -> None:
    shutil.copytree(ROOT, tmp_path / "validator", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(NEW / "stumps_of_somebody.py", tmp_path)
    shutil.copytree(NEW / "record", tmp_path / "validator" / "libraries" / "stumps_of_somebody")
    known = tmp_path / "validator" / "libraries" / "known.py"
    text = known.read_text()
    for one, two in (
        ("    sklearn,\n", "    sklearn,\n    stumps_of_somebody,\n"),
        ("    sklearn.LIBRARY,\n", "    sklearn.LIBRARY,\n    stumps_of_somebody.LIBRARY,\n"),
    ):
        assert text.count(one) == 1
        text = text.replace(one, two)
    known.write_text(text)
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(NEW / "judge_stumps.py"), str(tmp_path / "stump.json")],
        env=environ, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout == "judged\n", done.stderr


def test_imports_run_in_no_circle() -> None:
    """Those inside functions count too: a circle of files is one idea in several places."""
    graph = grimp.build_graph("validator", exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert _circles(imports) == []


def _circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """The modules in circles and between them: what is left when all that ends is taken off, from both ends."""
    left = {module: set(targets) & imports.keys() for module, targets in imports.items()}
    while True:
        used = set().union(*left.values()) if left else set()
        ends = {module for module, targets in left.items() if not targets or module not in used}
        if not ends:
            return [sorted(left)] if left else []
        left = {module: targets - ends for module, targets in left.items() if module not in ends}
