"""Where scikit-learn looks up a name that it was given, and where it opens a path: each site with its reason.

`validator/model/safety/values.py` says that its list follows from these sites in scikit-learn 0.24 to 1.9. They were
read in 0.24.2, 1.0.2, 1.1.3, 1.2.2, 1.3.2, 1.4.2, 1.5.2, 1.6.1, 1.7.2, 1.8.0 and 1.9.1; for another version run this
over the folder of its package (`python sklearn_calls.py …/site-packages/sklearn`), which prints what nobody has read.
What an estimator calls as an attribute (`self.kernel(...)`) is no site: values that can be called are permitted
functions wherever they stand.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SKIPPED = {
    "tests", "externals", "datasets", "_build_utils", "_testing.py", "conftest.py", "setup.py", "inspection",
    "estimator_checks.py", "_mocking.py", "__check_build", "_show_versions.py", "_estimator_html_repr.py",
    "_pprint.py", "discovery.py", "_docstring.py", "_doc_link.py",
}  # fmt: skip
# The argument that is the name.
_BY_NAME = {"getattr": 1, "setattr": 1, "delattr": 1, "attrgetter": 0, "methodcaller": 0}
_PATHS = {
    "open", "Memory", "check_memory", "load", "loadtxt", "genfromtxt", "memmap", "fromfile", "tofile", "save",
    "savetxt",
    "import_module", "__import__", "eval", "exec", "Popen", "system", "check_output", "urlopen",
}  # fmt: skip

HELD = "values.py holds the attribute to its names"
OWN = "the names are those of the class's own parameters, methods or attributes"
FIXED = "the names stand in the source, and are methods by which estimators answer"
FORMAT = "a sparse matrix's own format, with the beginning or end of a conversion's name"
FITTING = "while fitting alone"
NEVER = "of no use to what estimators do after fitting: a tool, a listing, a plot"
LIBRARY = "imports a library named in the source"

REVIEWED = {
    "sklearn.__getattr__": LIBRARY,
    "sklearn.__init__.__getattr__": LIBRARY,
    "sklearn.base.BaseEstimator.": OWN,
    "sklearn.callback._callback_context.": FITTING,
    "sklearn.cluster._agglomerative.AgglomerativeClustering.": FITTING,
    "sklearn.cluster._optics.OPTICS.fit": FITTING,
    "sklearn.ensemble._base.BaseEnsemble._make_estimator": FITTING,
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.BaseHistGradientBoosting._clear_state": FITTING,
    "sklearn.ensemble._stacking._BaseStacking._transform": HELD,
    "sklearn.ensemble._stacking._BaseStacking.fit": FITTING,
    "sklearn.feature_extraction.text._VectorizerMixin.decode": HELD,
    "sklearn.feature_selection._base._get_feature_importances": HELD,
    "sklearn.frozen._frozen.FrozenEstimator.__getattr__": OWN,
    "sklearn.gaussian_process.kernels.Kernel.": OWN,
    "sklearn.kernel_approximation.Nystroem._get_kernel_params": OWN,
    "sklearn.metrics._scorer._cached_call": HELD,
    "sklearn.model_selection._split._build_repr": OWN,
    "sklearn.model_selection._validation._fit_and_predict": FITTING,
    "sklearn.pipeline.Pipeline._fit": FITTING,
    "sklearn.pipeline._final_estimator_has": FIXED,
    "sklearn.tree._export.export_graphviz": NEVER,
    "sklearn.utils.__init__.all_estimators": NEVER,
    "sklearn.utils._array_api._ArrayAPIWrapper.__getattr__": FIXED,
    "sklearn.utils._array_api._NumPyAPIWrapper.__getattr__": FIXED,
    "sklearn.utils._array_api._NumPyApiWrapper.__getattr__": FIXED,
    "sklearn.utils._array_api._estimator_with_converted_arrays": NEVER,
    "sklearn.utils._array_api.check_same_namespace": OWN,
    "sklearn.utils._metadata_requests.": OWN,
    "sklearn.utils._param_validation.HasMethods.is_satisfied_by": FIXED,
    "sklearn.utils._set_output._SetOutputMixin.__init_subclass__": FIXED,
    "sklearn.utils._set_output.check_library_installed": LIBRARY,
    "sklearn.utils._sparse._align_api_if_sparse": FORMAT,
    "sklearn.utils.fixes._open_binary": NEVER,
    "sklearn.utils.fixes._open_text": NEVER,
    "sklearn.utils.metaestimators._BaseComposition.": OWN,
    "sklearn.utils.metaestimators._IffHasAttrDescriptor.": FIXED,
    "sklearn.utils.validation._check_large_sparse": FIXED,
    "sklearn.utils.validation._check_response_method": HELD,
    "sklearn.utils.validation.check_memory": FITTING,
    "sklearn.utils.validation.check_symmetric": FORMAT,
}  # fmt: skip
_DELEGATES = (
    "_estimator_has",
    "_estimators_has",
    "_search_estimator_has",
)  # `available_if`: names in the source


def reason(place: str) -> str:
    """Why a file has no use for the site, or nothing where nobody has read it."""
    if place.endswith(_DELEGATES):
        return FIXED
    return next(
        (
            why
            for known, why in REVIEWED.items()
            if place == known or (known.endswith(".") and place.startswith(known))
        ),
        "",
    )


def sites(folder: Path) -> Iterator[tuple[str, str]]:
    """Place and source of every site below the folder of a package, found without running any of it."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts
        if not SKIPPED.isdisjoint(parts) or any(part.startswith(("_plot", "_repr")) for part in parts):
            continue
        module = ".".join((folder.name, *parts))[: -len(".py")]
        for place, function in _functions(ast.parse(path.read_text(encoding="utf-8"))):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and _is_site(node):
                    yield f"{module}.{place}", ast.unparse(node)[:90]


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for item in node.body:
                yield f"{node.name}.{getattr(item, 'name', '')}", item
        else:
            yield getattr(node, "name", ""), node


def _is_site(node: ast.Call) -> bool:
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    index = _BY_NAME.get(name, len(node.args))
    return name in _PATHS or (index < len(node.args) and not isinstance(node.args[index], ast.Constant))


if __name__ == "__main__":
    unread = [site for site in sites(Path(sys.argv[1])) if not reason(site[0])]
    for found in unread:
        print("\t".join(found))
    sys.exit(bool(unread))
