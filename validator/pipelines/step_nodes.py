"""Writing a step of our own into the graph that skl2onnx makes, in double whatever its inputs are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

DOUBLE = 11
#: Kinds of dtypes whose classes are numbers; scikit-learn has whole ones alone.
_NUMBERS = "iufb"
_GRAPH_IS_DOUBLE: ContextVar[bool] = ContextVar("graph_is_double", default=True)


@contextmanager
def numbers_in(dtype: str) -> Iterator[None]:
    """Inside the block numbers that are made of text are "float64" or "float32", as the rest of the graph is."""
    before = _GRAPH_IS_DOUBLE.set(dtype == "float64")
    try:
        yield
    finally:
        _GRAPH_IS_DOUBLE.reset(before)


def of_text(kind: Any) -> Any:
    """The type of numbers that a step makes of this type where it is text, which skl2onnx takes for float32."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    if not isinstance(kind, StringTensorType):
        return None
    return DoubleTensorType() if _GRAPH_IS_DOUBLE.get() else FloatTensorType()


def number_type(operator: Any) -> Any:
    """The type of the step's numeric outputs: double where an input is, or where all are text in a double graph."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    kinds = [given.type for given in operator.inputs]
    text = all(isinstance(kind, StringTensorType) for kind in kinds)
    double = any(isinstance(kind, DoubleTensorType) for kind in kinds) or (text and _GRAPH_IS_DOUBLE.get())
    return DoubleTensorType if double else FloatTensorType


#: What a classifier's converter takes, as skl2onnx's own do.
CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
}


def label_type(classes: npt.NDArray[Any]) -> Any:
    """The type [N] of labels of these classes: int64 of numbers, else text."""
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    return (Int64TensorType if classes.dtype.kind in _NUMBERS else StringTensorType)([None])


def classifier_shapes(operator: Any) -> None:
    """Of a classifier: its label [N], and its probabilities or scores [N, C]."""
    classes = operator.raw_operator.classes_
    operator.outputs[0].type = label_type(classes)
    operator.outputs[1].type = number_type(operator)([None, len(classes)])


def classifier_outputs(scope: Any, model: Any, inputs: Any, **_: Any) -> Any:
    """Declare the label and the numbers of a classifier or outlier detector that skl2onnx does not know for one."""
    import numpy as np
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common.data_types import DoubleTensorType

    operator = scope.declare_local_operator(sklearn_operator_name_map[type(model)], model)
    operator.inputs.extend(inputs)
    classes = np.asarray(getattr(model, "classes_", [1, -1]))
    operator.outputs.append(scope.declare_local_variable("label", label_type(classes)))
    operator.outputs.append(scope.declare_local_variable("probabilities", DoubleTensorType()))
    return operator.outputs


def register_where(
    covers: Callable[[Any], bool],
    update: Callable[..., None],
    kind: Any,
    shapes: Callable[[Any], None],
    convert: Callable[[Any, Any, Any], None],
    *,
    prefix: str = "Exact",
    options: Mapping[str, Any] | None = None,
) -> None:
    """Register a converter for those operators of a class that it covers; others take the one registered before."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter, get_shape_calculator

    alias = sklearn_operator_name_map[kind]
    convert_before, shapes_before = get_converter(alias), get_shape_calculator(alias)

    def calculate(operator: Any) -> None:
        if covers(operator):
            shapes(operator)
            return
        with _called(operator, alias):
            shapes_before(operator)

    def converted(scope: Any, operator: Any, container: Any) -> None:
        if covers(operator):
            convert(scope, operator, container)
            return
        with _called(operator, alias):
            convert_before(scope, operator, container)

    update(
        kind, f"{prefix}{kind.__name__}", calculate, converted, overwrite=True, options=dict(options or {})
    )


@contextmanager
def _called(operator: Any, alias: str) -> Iterator[None]:
    """skl2onnx's own functions look at the name under which the model was registered."""
    given = operator.type
    operator.type = alias
    try:
        yield
    finally:
        operator.type = given


class Nodes:
    """One step being written into a graph."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self.scope, self.operator, self._container = scope, operator, container

    @cached_property
    def rows(self) -> str:
        """The step's inputs side by side [N, F], in double."""
        given = [self.add("Cast", one.full_name, to=DOUBLE) for one in self.operator.inputs]
        return given[0] if len(given) == 1 else self.add("Concat", *given, axis=1)

    def columns(self) -> Iterator[tuple[str, bool]]:
        """The inputs' columns [N, 1] one by one, numbers in double, and whether each is text."""
        import numpy as np
        from skl2onnx.common.data_types import StringTensorType

        for one in self.operator.inputs:
            text = isinstance(one.type, StringTensorType)
            given = one.full_name if text else self.add("Cast", one.full_name, to=DOUBLE)
            width = int(one.type.shape[1])
            for place in range(width):
                chosen = self.constant(np.array([place], dtype=np.int64))
                yield (given if width == 1 else self.add("Gather", given, chosen, axis=1)), text

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        return self.add_several(op, 1, *inputs, **attributes)[0]

    def add_several(self, op: str, outputs: int, *inputs: str, **attributes: Any) -> tuple[str, ...]:
        """An operator with so many outputs."""
        names = tuple(self.scope.get_unique_variable_name("step") for _ in range(outputs))
        node = self.scope.get_unique_operator_name(op)
        self._container.add_node(op, list(inputs), list(names), name=node, **attributes)
        return names

    def constant(self, values: npt.NDArray[Any]) -> str:
        from onnx import numpy_helper

        name: str = self.scope.get_unique_variable_name("step")
        self._container.initializers.append(numpy_helper.from_array(values, name))
        return name

    def classes(self, classes: npt.NDArray[Any]) -> str:
        """The labels [C] of a classifier, in the type that `label_type` promises."""
        import numpy as np

        return self.constant(classes.astype(np.int64 if classes.dtype.kind in _NUMBERS else object))

    def number(self, value: float) -> str:
        """One float64, for every row."""
        import numpy as np

        return self.constant(np.array([value]))

    def variable(self, name: str, width: int) -> Any:
        """The value `name` [N, width] in double, as something that other operators of skl2onnx can take."""
        from skl2onnx.common.data_types import DoubleTensorType

        made = self.scope.declare_local_variable("step", DoubleTensorType([None, width]))
        node = self.scope.get_unique_operator_name("Identity")
        self._container.add_node("Identity", [name], [made.full_name], name=node)
        return made

    def finish(self, name: str, index: int = 0) -> None:
        """The step's output number `index`, as the type that its shape calculator promised."""
        from skl2onnx.common.data_types import FloatTensorType

        output = self.operator.outputs[index]
        if isinstance(output.type, FloatTensorType):
            node = self.scope.get_unique_operator_name("Cast")
            self._container.add_node("Cast", [name], [output.full_name], name=node, to=1)
            return
        node = self.scope.get_unique_operator_name("Identity")
        self._container.add_node("Identity", [name], [output.full_name], name=node)
