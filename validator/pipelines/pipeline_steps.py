"""Our own converters inside skl2onnx: trees exactly, and a missing-value imputer that works in double."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from validator.errors import ConversionError
from validator.libraries.known import LIBRARIES
from validator.libraries.library import Estimators
from validator.pipelines import (
    boosted_votes,
    calibration,
    category_bayes,
    category_steps,
    class_places,
    constant_models,
    curves,
    decision_thresholds,
    distances,
    feature_steps,
    iterative_imputer,
    kernel_machines,
    linear_classifiers,
    middle_steps,
    nearest_centroid,
    neighbour_imputer,
    networks,
    numpy_functions,
    self_training,
    sparse_zeros,
    stacking,
    target_steps,
    text_imputer,
    threshold_steps,
    weighted_neighbours,
    word_steps,
)
from validator.pipelines.step_nodes import (
    CLASSIFIER_OPTIONS,
    Nodes,
    classifier_outputs,
    number_type,
    numbers_in,
    of_text,
)
from validator.python39 import pairs
from validator.trees.ensemble import Task, Transform, TreeEnsemble
from validator.trees.onnx_wire import Graph, PackedInts

_STEPS = (
    boosted_votes, calibration, category_bayes, category_steps, class_places, constant_models, curves,
    decision_thresholds, distances, feature_steps, iterative_imputer, kernel_machines, linear_classifiers,
    middle_steps, nearest_centroid, neighbour_imputer, networks, numpy_functions, self_training, stacking,
    target_steps, threshold_steps, weighted_neighbours, word_steps,
)  # fmt: skip
_ML_OPSET = 3
"""what skl2onnx is told; it knows no later one, and `signature.label` writes the true one into the file"""


@contextmanager
def registered(dtype: str = "float64") -> Iterator[None]:
    """Our converters are skl2onnx's own inside the block; after it, its registry is what it was before.

    `dtype` is that of the graph's numbers.

    The registry is the process's: whoever converts with skl2onnx later must get its converters and not ours.
    """
    from skl2onnx import _parse

    kept, apart = [(pool, dict(pool)) for pool in _registry()], _parse.do_not_merge_columns
    guess = _parse.guess_tensor_type
    try:
        _register()
        # Merged, a column of numbers beside one of text would become text.
        _parse.do_not_merge_columns = (*apart, *category_steps.target_encoders())
        _parse.guess_tensor_type = lambda kind: of_text(kind) or guess(kind)
        with numbers_in(dtype):
            yield
    finally:
        _parse.do_not_merge_columns, _parse.guess_tensor_type = apart, guess
        for pool, before in kept:
            pool.clear()
            pool.update(before)


def _registry() -> list[dict[Any, Any]]:
    """The dictionaries that registering a converter writes to; skl2onnx has no way to take one back."""
    from skl2onnx import _parse, _supported_operators
    from skl2onnx.common import _registration

    return [
        _supported_operators.sklearn_operator_name_map,
        _parse.sklearn_parsers_map,
        _registration._converter_pool,
        _registration._shape_calculator_pool,
    ]


def _register() -> None:
    """Boosters are only known where the model has already imported their library."""
    from skl2onnx import update_registered_converter

    for library in LIBRARIES:
        for estimators in library.estimators:
            _register_trees(estimators, update_registered_converter)
    _register_imputer(update_registered_converter)
    for steps in _STEPS:
        steps.register(update_registered_converter)


def _register_trees(estimators: Estimators, update: Callable[..., None]) -> None:
    for kind in estimators.kinds if estimators.module in sys.modules else ():
        found = getattr(sys.modules[estimators.module], estimators.stem + kind, None)
        if found is None:
            continue
        classifier = kind.endswith("Classifier")
        update(
            found,
            f"Exact{estimators.stem}{kind}",
            _tree_shapes,
            _convert_tree,
            overwrite=True,
            parser=classifier_outputs if estimators.unmarked and classifier else None,
            options={**CLASSIFIER_OPTIONS, "raw_scores": [True, False]} if classifier else {},
        )


def _tree_shapes(operator: Any) -> None:
    ensemble = _ensemble(operator.raw_operator)
    number = number_type(operator)
    if ensemble.task is Task.CLASSIFICATION:
        from skl2onnx.common.data_types import Int64TensorType, StringTensorType

        text = isinstance(ensemble.class_labels[0], str)
        operator.outputs[0].type = (StringTensorType if text else Int64TensorType)([None])
        operator.outputs[1].type = number([None, len(ensemble.class_labels)])
    else:
        operator.outputs[0].type = number([None, ensemble.n_targets])


def _convert_tree(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.common.data_types import DoubleTensorType

    ensemble = _ensemble(operator.raw_operator)
    if container.get_options(operator.raw_operator, {}, fail=False).get("raw_scores"):
        # For two classes the score is then the second column.
        ensemble = replace(ensemble, transform=Transform(dtype=ensemble.transform.dtype))
    dtype = "float64" if number_type(operator) is DoubleTensorType else "float32"
    from validator.trees.writer import build

    graph = build(ensemble, input_dtype=dtype)
    given = operator.inputs[0].full_name
    if type(operator.inputs[0].type) is not number_type(operator):
        given = _cast(scope, container, given, dtype)
    if sparse_zeros.reads_zeros_as_missing(operator.raw_operator):
        nodes = Nodes(scope, operator, container)
        nothing, missing = (nodes.constant(np.array([value], dtype=dtype)) for value in (0.0, np.nan))
        given = nodes.add("Where", nodes.add("Equal", given, nothing), missing, given)
    _embed(scope, container, graph, given, operator, dtype)


def _embed(scope: Any, container: Any, graph: Graph, given: str, operator: Any, dtype: str) -> None:
    from onnx import numpy_helper

    names = {graph.inputs[0].name: given}
    for name, array in graph.constants.items():
        names[name] = scope.get_unique_variable_name(f"tree_{name}")
        text = array.dtype == object
        proto = numpy_helper.from_array(array.astype(object) if text else array, names[name])
        container.initializers.append(proto)
    for node in graph.nodes:
        for output in node.outputs:
            names[output] = scope.get_unique_variable_name(f"tree_{output}")
        attributes = {key: _plain(value) for key, value in node.attributes.items()}
        container.add_node(
            node.op,
            [names[name] for name in node.inputs],
            [names[name] for name in node.outputs],
            op_domain=node.domain,
            op_version=_ML_OPSET if node.domain else None,
            name=scope.get_unique_operator_name(node.op),
            **attributes,
        )
    for value, variable in pairs(graph.outputs, operator.outputs):
        inner = names[value.name]
        if value.dtype.startswith("float") and value.dtype != dtype:
            inner = _cast(scope, container, inner, dtype)
        if len(value.shape) == 1 and value.name != "label":
            shape = scope.get_unique_variable_name("column")
            container.initializers.append(numpy_helper.from_array(np.array([-1, 1]), shape))
            container.add_node(
                "Reshape", [inner, shape], [variable.full_name], name=scope.get_unique_operator_name("Column")
            )
        else:
            container.add_node(
                "Identity", [inner], [variable.full_name], name=scope.get_unique_operator_name("Output")
            )


def _plain(value: Any) -> Any:
    from onnx import numpy_helper

    if isinstance(value, PackedInts):
        return value.values.astype(np.int64).tolist()
    if isinstance(value, np.ndarray):
        return numpy_helper.from_array(value)
    return list(value) if isinstance(value, tuple) else value


def _cast(scope: Any, container: Any, name: str, dtype: str) -> str:
    from validator.trees.onnx_wire import ELEMENT_TYPES

    made: str = scope.get_unique_variable_name("cast")
    container.add_node(
        "Cast", [name], [made], to=ELEMENT_TYPES[dtype], name=scope.get_unique_operator_name("Cast")
    )
    return made


def _ensemble(model: Any) -> TreeEnsemble:
    from validator.libraries.export import export
    from validator.libraries.read import read

    header, arrays = export(model)
    ensemble = read(header, arrays)
    if ensemble is None:
        raise ConversionError(
            f"{type(model).__name__} cannot be converted exactly: {header.get('reason', 'it is no tree ensemble')}",
            hint=str(header.get("hint") or "use a tree model of a common kind"),
        )
    if header.get("called_otherwise"):
        raise ConversionError(
            f"{type(model).__name__} inside another model cannot be converted: {header['called_otherwise']}",
            hint="take that option off the fitted model, with its `set_params`, and save it anew",
        )
    if ensemble.feature_categories:
        raise ConversionError(
            f"{type(model).__name__} inside a pipeline was trained on pandas categories",
            hint="save the tree model without its pipeline, or encode the categories in a step before it",
        )
    return ensemble


def _register_imputer(update: Callable[..., None]) -> None:
    """skl2onnx's imputer uses an operator that ONNX Runtime has in float only; a Where does it in any type."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter, get_shape_calculator
    from sklearn.impute import SimpleImputer

    alias = sklearn_operator_name_map[SimpleImputer]
    stock, shapes = get_converter(alias), get_shape_calculator(alias)

    def widen(operator: Any) -> None:
        shapes(operator)
        if operator.raw_operator.add_indicator:
            width = operator.outputs[0].type.shape[1] + len(operator.raw_operator.indicator_.features_)
            operator.outputs[0].type.shape = [None, width]

    def convert(scope: Any, operator: Any, container: Any) -> None:
        from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

        if text_imputer.fills_text(operator):
            text_imputer.impute_text(scope, operator, container)
            return
        step, given = operator.raw_operator, operator.inputs
        statistics = np.asarray(step.statistics_)
        numeric = len(given) == 1 and type(given[0].type) in (DoubleTensorType, FloatTensorType)
        plain = numeric and statistics.dtype.kind == "f" and np.isfinite(statistics).all()
        if not plain or not np.isnan(step.missing_values):
            if step.add_indicator:
                raise ConversionError(
                    "SimpleImputer with an indicator is converted for NaN in numeric columns alone",
                    hint="leave add_indicator at False, or mark missing values in columns of their own",
                )
            stock(scope, operator, container)
            return
        from onnx import numpy_helper

        dtype = "float64" if isinstance(given[0].type, DoubleTensorType) else "float32"
        nan, fill = scope.get_unique_variable_name("nan"), scope.get_unique_variable_name("fill")
        container.initializers.append(numpy_helper.from_array(statistics.astype(dtype), fill))
        container.add_node("IsNaN", [given[0].full_name], [nan], name=scope.get_unique_operator_name("IsNaN"))
        whole = operator.outputs[0].full_name
        imputed = scope.get_unique_variable_name("imputed") if step.add_indicator else whole
        container.add_node(
            "Where",
            [nan, fill, given[0].full_name],
            [imputed],
            name=scope.get_unique_operator_name("Impute"),
        )
        if not step.add_indicator:
            return
        chosen, marks = scope.get_unique_variable_name("chosen"), scope.get_unique_variable_name("marks")
        places = np.asarray(step.indicator_.features_, dtype=np.int64)
        container.initializers.append(numpy_helper.from_array(places, chosen))
        picked = scope.get_unique_variable_name("picked")
        name = scope.get_unique_operator_name
        container.add_node("Gather", [nan, chosen], [picked], axis=1, name=name("Gather"))
        container.add_node("Cast", [picked], [marks], to=11 if dtype == "float64" else 1, name=name("Cast"))
        container.add_node("Concat", [imputed, marks], [whole], axis=1, name=name("Concat"))

    update(SimpleImputer, "ExactSimpleImputer", widen, convert, overwrite=True)
