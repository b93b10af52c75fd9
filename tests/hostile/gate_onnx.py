"""Hostile ONNX files, each a change of an honest one: refused, contained where they run, or seen to be wrong.

The honest file is what the gate makes of the honest model of `gate_pickles`.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

from gate_pickles import honest_model

#: What a hostile name says, to whoever prints it raw.
SHOUT = "::error::forged by the model"


@functools.cache
def honest_onnx() -> bytes:
    from validator.libraries.convert import convert_trees
    from validator.libraries.export import export
    from validator.libraries.read import read

    return convert_trees(read(*export(honest_model()))).data


def changed(change: Callable[[Any], None]) -> bytes:
    """The honest file after the change of its ModelProto."""
    import onnx

    model = onnx.load_model_from_string(honest_onnx())
    change(model)
    data: bytes = model.SerializeToString()
    return data


def _trees(model: Any) -> Any:
    return next(node for node in model.graph.node if node.op_type == "TreeEnsemble")


def _attribute(model: Any, name: str) -> Any:
    return next(attribute for attribute in _trees(model).attribute if attribute.name == name)


def _leaf(model: Any) -> int:
    """The place of the first node whose child to the left is a leaf."""
    return list(_attribute(model, "nodes_trueleafs").ints).index(1)


def _before(model: Any, *nodes: Any) -> None:
    """Put the nodes at the head of the graph."""
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])


def _outside_data(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    tensor.external_data.add(key="location", value="../canary")


def _function(model: Any, *attributes: Any) -> None:
    """A function of the model's own, called once, with these for what its caller leaves out."""
    from onnx import helper

    made = helper.make_function(
        "of.my.own", "Take", [], ["taken"], [helper.make_node("Constant", [], ["taken"])],
        [helper.make_opsetid("", 17)], [], attributes,
    )  # fmt: skip
    made.node[0].attribute.add(name="value", ref_attr_name="value", type=4)
    model.functions.append(made)
    model.opset_import.add(domain="of.my.own", version=1)
    _before(model, helper.make_node("Take", [], ["unused"], domain="of.my.own"))


def _outside_data_by_default(model: Any) -> None:
    """What lies outside is the value that a function's attribute has where its caller gives none."""
    import onnx

    tensor = onnx.TensorProto(data_type=1, dims=[1], data_location=1, name="outside")
    tensor.external_data.add(key="location", value="/etc/passwd")
    _function(model, onnx.helper.make_attribute("value", tensor))


def _foreign_operator_by_default(model: Any) -> None:
    from onnx import helper

    node = helper.make_node("Run", [], ["ran"], domain="com.evil")
    _function(model, helper.make_attribute("body", helper.make_graph([node], "body", [], [])))


def _itself_by_a_branch(model: Any) -> None:
    """A function that calls itself in one of the two branches of a condition."""
    from onnx import helper

    again = helper.make_graph([helper.make_node("Take", [], ["more"], domain="of.my.own")], "again", [], [])
    _function(model)
    model.functions[0].node.append(helper.make_node("If", ["yes"], [], then_branch=again, else_branch=again))


def _foreign_operator(model: Any) -> None:
    model.opset_import.add(domain="com.evil", version=1)
    _trees(model).domain = "com.evil"


def _endless_loop(model: Any) -> None:
    """Its number of turns is a sum of the rows, which no check can know."""
    from onnx import TensorProto, helper

    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, [])],
    )
    _before(
        model,
        helper.make_node("Shape", ["features"], ["turns"]),
        helper.make_node("Loop", ["turns", ""], [], body=body, name="ever"),
    )


def _costly(model: Any) -> None:
    """Loops within loops, each as long as is allowed, around the features."""
    from onnx import TensorProto, helper

    model.graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
    inner = [helper.make_node("Abs", ["v0"], ["w0"])]
    for level in range(3):
        turns = helper.make_tensor("count", TensorProto.INT64, [], [100_000])
        number, going, value = (f"{kind}{level}" for kind in ("i", "g", "v"))
        body = helper.make_graph(
            [*inner, helper.make_node("Identity", [going], [f"h{level}"])],
            f"body{level}",
            [
                helper.make_tensor_value_info(number, TensorProto.INT64, []),
                helper.make_tensor_value_info(going, TensorProto.BOOL, []),
                helper.make_tensor_value_info(value, TensorProto.FLOAT, None),
            ],
            [
                helper.make_tensor_value_info(f"h{level}", TensorProto.BOOL, []),
                helper.make_tensor_value_info(f"w{level}", TensorProto.FLOAT, None),
            ],
        )
        above, given, made = f"turns{level}", f"v{level + 1}", f"w{level + 1}"
        inner = [
            helper.make_node("Constant", [], [above], value=turns),
            helper.make_node("Loop", [above, "yes", given], [made], body=body, name=f"loop{level}"),
        ]
    inner[-1].input[2], inner[-1].output[0] = "features", "heated"
    _before(model, *inner)
    next(node for node in model.graph.node if node.op_type == "Cast").input[0] = "heated"


def _hoard(model: Any) -> None:
    """A size that is known only when it runs: the rows' number times a constant."""
    from onnx import TensorProto, helper

    model.graph.initializer.append(helper.make_tensor("many", TensorProto.INT64, [1], [1 << 33]))
    model.graph.initializer.append(helper.make_tensor("none", TensorProto.INT64, [1], [0]))
    _before(
        model,
        helper.make_node("Shape", ["features"], ["shape"]),
        helper.make_node("Gather", ["shape", "none"], ["rows"], axis=0),
        helper.make_node("Mul", ["rows", "many"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("ReduceMax", ["zeros"], ["nothing"], keepdims=0),
        helper.make_node("Add", ["features", "nothing"], ["heavy"]),
    )
    next(node for node in model.graph.node if node.op_type == "Cast").input[0] = "heavy"


def _large_constant(model: Any) -> None:
    from onnx import TensorProto, helper

    model.graph.initializer.append(helper.make_tensor("size", TensorProto.INT64, [1], [1 << 40]))
    _before(model, helper.make_node("ConstantOfShape", ["size"], ["zeros"]))


def _deep(model: Any) -> None:
    """If within If within If: twice as large with every step."""
    from onnx import TensorProto, helper

    model.graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
    nodes = [helper.make_node("Constant", [], ["flag0"], value_float=0.0)]
    for level in range(1, 9):
        given = helper.make_tensor_value_info(nodes[0].output[0], TensorProto.FLOAT, [])
        branch = helper.make_graph(nodes, f"branch{level}", [], [given])
        nodes = [helper.make_node("If", ["yes"], [f"flag{level}"], then_branch=branch, else_branch=branch)]
    _before(model, *nodes)


def _itself(model: Any) -> None:
    """A function that calls itself."""
    from onnx import helper

    call = helper.make_node("again", ["x"], ["y"], domain="own")
    opset = helper.make_opsetid("own", 1)
    model.functions.append(helper.make_function("own", "again", ["x"], ["y"], [call], [opset]))
    model.opset_import.append(opset)
    _before(model, helper.make_node("again", ["features"], ["turned"], domain="own"))


def _circle(model: Any) -> None:
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]


def _set(name: str, value: int, place: Callable[[Any], int] = lambda _: 0) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        _attribute(model, name).ints[place(model)] = value

    return change


def _short(name: str) -> Callable[[Any], None]:
    """A tensor attribute of the trees loses all values but one."""

    def change(model: Any) -> None:
        from onnx import numpy_helper

        attribute = _attribute(model, name)
        attribute.t.CopyFrom(
            numpy_helper.from_array(numpy_helper.to_array(attribute.t)[:1], attribute.t.name)
        )

    return change


def _swapped(model: Any) -> None:
    """The classes' probabilities change places."""
    from onnx import numpy_helper

    table = model.graph.initializer[0]
    table.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(table)[..., ::-1].copy(), table.name))


def _one_leaf(model: Any) -> None:
    """One leaf answers as another does: few rows see it."""
    from onnx import numpy_helper

    targets = _attribute(model, "leaf_weights").t
    values = numpy_helper.to_array(targets).copy()
    values[-1] = values[0]
    targets.CopyFrom(numpy_helper.from_array(values, targets.name))


def _one_split(model: Any) -> None:
    """One threshold moves a little."""
    from onnx import numpy_helper

    splits = _attribute(model, "nodes_splits").t
    values = numpy_helper.to_array(splits).copy()
    values[0] += values.dtype.type(1e-3)
    splits.CopyFrom(numpy_helper.from_array(values, splits.name))


def _not_numbers(model: Any) -> None:
    from onnx import TensorProto, helper

    model.graph.initializer.append(helper.make_tensor("nan", TensorProto.DOUBLE, [], [float("nan")]))
    last = next(node for node in model.graph.node if node.output[0] == "probabilities")
    last.output[0] = "sound"
    at = list(model.graph.node).index(last)
    model.graph.node.insert(at + 1, helper.make_node("Add", ["sound", "nan"], ["probabilities"]))


def _memory_of_rows(model: Any) -> None:
    """Answers that depend on the other rows of a batch."""
    from onnx import TensorProto, helper

    last = next(node for node in model.graph.node if node.output[0] == "probabilities")
    last.output[0] = "sound"
    at = list(model.graph.node).index(last)
    model.graph.node.insert(at + 1, helper.make_node("CumSum", ["sound", "line"], ["sums"]))
    model.graph.node.insert(at + 2, helper.make_node("Softmax", ["sums"], ["probabilities"], axis=1))
    model.graph.initializer.append(helper.make_tensor("line", TensorProto.INT64, [], [0]))


def _dice(model: Any) -> None:
    """Answers that differ from call to call."""
    from onnx import helper

    last = next(node for node in model.graph.node if node.output[0] == "probabilities")
    last.output[0] = "sound"
    at = list(model.graph.node).index(last)
    model.graph.node.insert(at + 1, helper.make_node("RandomUniformLike", ["sound"], ["noise"]))
    model.graph.node.insert(at + 2, helper.make_node("Add", ["sound", "noise"], ["sums"]))
    model.graph.node.insert(at + 3, helper.make_node("Softmax", ["sums"], ["probabilities"], axis=1))


def _shouting(model: Any) -> None:
    """Names that speak to the runner, the terminal and a browser, and one leaf that makes them be told."""
    bad = f"\n{SHOUT}\n\x1b[2J<script>alert(1)</script>"
    model.producer_name = bad
    model.graph.name = bad
    for place, node in enumerate(model.graph.node):
        node.name = bad + str(place)
        for names in (node.input, node.output):
            names[:] = [bad if name == "features" else name for name in names]
    model.graph.input[0].name = bad
    model.metadata_props.add(key=bad, value=bad)
    _swapped(model)


def damaged(seed: int) -> bytes:
    """The honest file with some bytes changed, repeated or lost, from the given seed."""
    pick = random.Random(seed)
    mutant = bytearray(honest_onnx())
    for _ in range(pick.randrange(1, 8)):
        at = pick.randrange(len(mutant))
        kind = pick.randrange(4)
        if kind == 0:
            mutant[at] = pick.randrange(256)
        elif kind == 1:
            mutant[at : at + 8] = pick.choice([b"\xff" * 8, bytes(8), b"\xff" * 7 + b"\x7f"])
        elif kind == 2:
            mutant[at:at] = mutant[at : at + pick.randrange(1, 40)]
        else:
            del mutant[at : at + pick.randrange(1, 12)]
    return bytes(mutant)


def redrawn(seed: int) -> bytes:
    """The honest file with some whole numbers of its trees drawn anew: well formed, and wrong inside."""
    pick = random.Random(seed)

    def change(model: Any) -> None:
        listed = [attribute for attribute in _trees(model).attribute if attribute.ints]
        for _ in range(pick.randrange(1, 4)):
            attribute = pick.choice(listed)
            at = pick.randrange(len(attribute.ints))
            attribute.ints[at] = pick.choice([-1, 0, 1, 2, len(attribute.ints), 2**31, -(2**63), 2**63 - 1])

    return changed(change)


Attack = tuple[Callable[[], bytes], str]


def _of(change: Callable[[Any], None], words: str) -> Attack:
    return functools.partial(changed, change), words


#: Refused or contained whatever the way in: how it is made, and words of the finding.
HARMFUL: dict[str, Attack] = {
    "outside data": _of(_outside_data, "lies in another file"),
    "outside data by default": _of(_outside_data_by_default, "lies in another file"),
    "foreign operator": _of(_foreign_operator, "com.evil"),
    "foreign operator by default": _of(_foreign_operator_by_default, "com.evil"),
    "itself by a branch": _of(_itself_by_a_branch, "in a circle"),
    "endless loop": _of(_endless_loop, "no constant number of turns"),
    "large constant": _of(_large_constant, "makes 1,099,511,627,776 elements"),
    "deep": _of(_deep, "nest more than"),
    "itself": _of(_itself, "in a circle"),
    "circle": _of(_circle, "before it is made"),
    "feature out of range": _of(_set("nodes_featureids", 2**31 - 1), "feature number is out of range"),
    "feature below none": _of(_set("nodes_featureids", -1), "feature number is out of range"),
    "tree in a circle": _of(_set("nodes_trueleafs", 0, _leaf), "in a cycle"),
    "child out of range": _of(_set("nodes_truenodeids", 2**40), "does not exist"),
    "leaf of no target": _of(_set("leaf_targetids", 7), "target that does not exist"),
    "huge claim": _of(lambda model: model.graph.initializer[0].dims.extend([1 << 40]), "claims"),
    "short splits": _of(_short("nodes_splits"), "nodes_featureids"),
    "short modes": _of(_short("nodes_modes"), "nodes_modes"),
    "short weights": _of(_short("leaf_weights"), "leaf_targetids"),
    "cut short": (lambda: honest_onnx()[:-40], "in no format known here"),
    "hoard": _of(_hoard, "ConstantOfShape"),
    "costly": _of(_costly, "time limit of 5 s"),
    "not numbers": _of(_not_numbers, "NaN"),
    "memory of rows": _of(_memory_of_rows, "alone gives other"),
    "dice": _of(_dice, "two calls on the same"),
}
#: Sound by themselves, but not the model that they are given with.
UNLIKE: dict[str, Attack] = {
    "swapped": _of(_swapped, "the model adds"),
    "one leaf": _of(_one_leaf, "the model adds"),
    "one split": _of(_one_split, "the model asks of feature 'a'"),
    "shouting": _of(_shouting, ""),
}
