"""The nodes of a skops schema as the symbols that a pickle's instructions make: one set of rules judges both.

Each node names a loader of skops, and that loader says how the node's class is used: `ListNode` calls it on a list,
`ConstructorFromReduceNode` on whatever stands in the file. So a class is permitted for its loader's use alone
(skops/io/_general.py, _numpy.py, _scipy.py, _sklearn.py; protocols 0 to 2).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from validator.documents import read_json
from validator.model.safety.demands import RefusedError
from validator.model.safety.findings import Log
from validator.model.safety.machine import Machine
from validator.model.safety.policy import ANY
from validator.model.safety.report import Limits
from validator.model.safety.symbols import DICT_LIKE, Bag, Map, Obj, Raw, Ref, class_of, make_tuple

_KEY_TYPES = frozenset(
    {"builtins.str", "builtins.int", "builtins.float", "builtins.bool", "builtins.NoneType"}
)
_SCALAR = re.compile(r"numpy\.(u?int\d*|u?intc|u?intp|u?longlong|float\d+|longdouble|complex\d+|bool_?|str_|bytes_"
                     r"|datetime64|timedelta64|void|object_)\Z")  # fmt: skip
_DICTS = frozenset({"builtins.dict", "collections.OrderedDict", *DICT_LIKE})
_ARRAYS = frozenset({"numpy.ndarray", "numpy.matrix", "numpy.matrixlib.defmatrix.matrix"})
_BIT_GENERATORS = frozenset({"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"})
_HINT = "Write the file again with skops.io.dump; if this stays, find out who made it."
# Loaders that make more than data.
_DANGEROUS = {
    "MethodNode": "binds a method of an object",
    "OperatorFuncNode": "calls a function of `operator`",
}


class Nodes:
    """Turns a schema's nodes into symbols, in the order and with the memory of skops' own reader.

    `read` gives the content of a member of the archive. Raises RefusedError for a node that skops does not write.
    """

    def __init__(self, log: Log, limits: Limits, protocol: int, read: Callable[[str], bytes]) -> None:
        self._log = log
        self._read = read
        self._protocol = protocol
        self._limits = limits
        self._machine = Machine(b"", 0, log.policy, log, limits)
        self._machine.protocol = 5
        self._made: dict[int, Any] = {}

    def symbol(self, node: Any) -> Any:
        """What the node stands for. One whose `__id__` was seen before is the earlier one, whatever it holds."""
        if not isinstance(node, dict) or not all(
            isinstance(node.get(key), str) for key in ("__loader__", "__module__", "__class__")
        ):
            raise RefusedError("a node of its schema names no class", _HINT)
        number = node.get("__id__")
        if number is not None and type(number) is not int:
            raise RefusedError("a node of its schema has an identity that is no number", _HINT)
        if number in self._made:
            if self._made[number] is _UNDER_WAY:
                raise RefusedError("a node of its schema contains itself", _HINT)
            return self._made[number]
        loader = node["__loader__"]
        if loader in _DANGEROUS:
            return self._refused(node, "call", _DANGEROUS[loader])
        step = _LOADERS.get(loader)
        if step is None:
            raise RefusedError(f"a node of its schema has the unknown loader {loader[:60]!r}", _HINT)
        if number:
            self._made[number] = _UNDER_WAY
        made = step(self, node)
        if number:
            self._made[number] = made
        return made

    def _ref(self, node: dict[str, Any], among: frozenset[str] = frozenset()) -> Ref:
        """The node's class, which must be one of `among` if there are any."""
        ref = self._machine.find(node["__module__"], node["__class__"])
        if among and ref.path not in among and ANY not in ref.uses:
            self._log.use(ref, "construct")
            self._log.refuse_ref(ref, "construct", f"is made by {node['__loader__']}, which is for others")
        return ref

    def _refused(self, node: dict[str, Any], use: str, reason: str) -> Any:
        ref = self._machine.find(node["__module__"], node["__class__"])
        self._log.use(ref, use)
        self._log.refuse_ref(ref, use, reason)
        return Obj(ref.path, ANY, ANY)

    def _called(self, node: dict[str, Any], arguments: Any, use: str) -> Any:
        ref = self._ref(node)
        given = tuple(arguments) if isinstance(arguments, (tuple, list)) else None
        if given is None:
            raise RefusedError(f"{ref.path} is called with other than a tuple", _HINT)
        return self._machine.call(ref, given, use)

    def _items(self, content: Any) -> list[Any]:
        if not isinstance(content, list):
            raise RefusedError("a node of its schema holds no list", _HINT)
        items = [self.symbol(item) for item in content]
        self._machine.check_values(items)
        return items

    def _json(self, node: dict[str, Any]) -> Any:
        text = node.get("content")
        if not isinstance(text, str):
            raise RefusedError("a value of its schema is no JSON", _HINT)
        return _plain(read_json(text.encode(), nodes=self._limits.nodes))

    def _dict(self, node: dict[str, Any]) -> Any:
        ref = self._ref(node, _DICTS)
        kinds, content = self._kinds(node.get("key_types")), _part(node, "content")
        if len(kinds) != len(content):
            raise RefusedError("a dictionary of its schema has other than one type a key", _HINT)
        flat: list[Any] = []
        for kind, (key, value) in zip(kinds, content.items()):  # noqa: B905 - Python 3.9
            flat += [key if kind == "builtins.str" else Obj(kind), self.symbol(value)]
        self._machine.check_values(flat[1::2])
        if ref.path == "builtins.dict":
            return Map(flat)
        self._log.use(ref, "construct")
        made = Obj(ref.path, "state", "dict")
        self._log.items(ref.path, flat, 0)
        return made

    def _kinds(self, node: Any) -> list[str]:
        """The types of a dictionary's keys, each of which is called on its key."""
        if not isinstance(node, dict) or node.get("__loader__") != "ListNode":
            raise RefusedError("a dictionary of its schema has no list of types", _HINT)
        number, found = node.get("__id__"), []
        if number in self._made:
            raise RefusedError("a dictionary of its schema takes the types of another", _HINT)
        for item in self._list(node, checked=False):
            if type(item) is not Ref or not (item.path in _KEY_TYPES or _SCALAR.match(item.path)):
                raise RefusedError("a dictionary of its schema has keys of no plain type", _HINT)
            found.append(item.path)
        return found

    def _default_dict(self, node: dict[str, Any]) -> Any:
        content = _part(node, "content")
        main, factory = self.symbol(content.get("main")), self.symbol(content.get("default_factory"))
        self._machine.check_values([factory])
        if type(main) is not Map:
            raise RefusedError("a defaultdict of its schema has no dictionary", _HINT)
        return self._machine.call(self._ref(node, frozenset({"collections.defaultdict"})), (factory,), "call")

    def _list(self, node: dict[str, Any], *, checked: bool = True) -> list[Any]:
        self._ref(node, frozenset({"builtins.list"}))
        content = node.get("content")
        if checked:
            return self._items(content)
        return [self._type(item) for item in content] if isinstance(content, list) else [None]

    def _type(self, node: Any) -> Any:
        """A type that is called on keys; `NoneType` is one of them, though nothing else may hold it."""
        if (
            isinstance(node, dict)
            and node.get("__loader__") == "TypeNode"
            and node.get("__module__") == "builtins"
        ):
            number, ref = node.get("__id__"), Ref("builtins", str(node.get("__class__")), 0, "schema")
            if ref.path in _KEY_TYPES and number not in self._made:
                if type(number) is int and number:
                    self._made[number] = ref
                return ref
        return self.symbol(node)

    def _tuple(self, node: dict[str, Any]) -> Any:
        items = self._items(node.get("content"))
        if (node["__module__"], node["__class__"]) != ("builtins", "tuple"):
            return self._called(node, items, "construct")
        self._ref(node)
        made = make_tuple(items, self._limits.depth)
        if made is None:
            raise RefusedError("tuples of its schema are nested too deep", _HINT)
        return made

    def _set(self, node: dict[str, Any]) -> Any:
        self._ref(node, frozenset({"builtins.set", "builtins.frozenset"}))
        return Bag(node["__class__"], self._items(node.get("content")))

    def _bytes(self, node: dict[str, Any]) -> Any:
        ref = self._ref(node, frozenset({"builtins.bytes", "builtins.bytearray"}))
        content = self._read(str(node.get("file")))
        return Raw(content, 0, len(content), ref.name)

    def _slice(self, node: dict[str, Any]) -> Any:
        ref, content = self._ref(node, frozenset({"builtins.slice"})), _part(node, "content")
        return self._machine.call(ref, tuple(content.get(key) for key in ("start", "stop", "step")), "call")

    def _function(self, node: dict[str, Any]) -> Any:
        content = node.get("content")
        if self._protocol == 0 and isinstance(content, dict):
            ref = self._machine.find(str(content.get("module_path")), str(content.get("function")))
        else:
            ref = self._ref(node)
        self._machine.check_values([ref])
        return ref

    def _partial(self, node: dict[str, Any]) -> Any:
        content = _part(node, "content")
        parts = tuple(self.symbol(content.get(key)) for key in ("func", "args", "kwds", "namespace"))
        made = self._machine.call(self._ref(node, frozenset({"functools.partial"})), parts[:1], "call")
        return self._machine.build(made, parts)

    def _from_reduce(self, node: dict[str, Any]) -> Any:
        return self._called(node, self.symbol(node.get("content")), "call")

    def _object(self, node: dict[str, Any]) -> Any:
        ref = self._ref(node)
        if "native" in ref.uses:
            self._log.use(ref, "construct")
            made: Any = Obj(ref.path, "native")
        else:
            made = self._machine.call(ref, (), "construct")
        return self._with_state(made, node)

    def _with_state(self, made: Any, node: dict[str, Any]) -> Any:
        state = None if node.get("content") is None else self.symbol(node["content"])
        return made if state is None or state == () else self._machine.build(made, state)

    def _reduced(self, node: dict[str, Any]) -> Any:
        """A tree or a loss: skops reads the state before the arguments."""
        content, reduced = self.symbol(node.get("content")), _part(node, "__reduce__")
        arguments = self.symbol(reduced.get("args"))
        made = self._called(node, () if arguments is None else arguments, "call")
        empty = content is None or content == () or (type(content) is Map and not content.flat)
        return made if empty or not made.build else self._machine.build(made, content)

    def _tree(self, node: dict[str, Any]) -> Any:
        self._ref(node, frozenset({"sklearn.tree._tree.Tree"}))
        return self._reduced(node)

    def _array(self, node: dict[str, Any]) -> Any:
        name = f"{node['__module__']}.{node['__class__']}"
        ref = self._ref(node, _ARRAYS | ({name} if _SCALAR.match(name) else set()))
        self._log.use(ref, "construct")
        if node.get("type") == "json":
            items = self._items(node.get("content"))
            self.symbol(node.get("shape"))
            return Obj("numpy.ndarray", "", "", (None, None, items))
        self._member(node, ".npy")
        return Obj("numpy.ndarray" if ref.path in _ARRAYS else ref.path)

    def _member(self, node: dict[str, Any], suffix: str) -> None:
        """The member that the node names; its content was checked with the archive."""
        name = node.get("file")
        if not isinstance(name, str) or not name.endswith(suffix):
            raise RefusedError(f"a node of its schema names no {suffix} member", _HINT)

    def _masked(self, node: dict[str, Any]) -> Any:
        ref = self._ref(node, frozenset({"numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray"}))
        content = _part(node, "content")
        for key in ("data", "mask"):
            self._numbers(self.symbol(content.get(key)))
        return Obj(ref.path)

    def _numbers(self, value: Any) -> None:
        if not class_of(value).startswith("numpy."):
            raise RefusedError("an array of its schema is made of something else", _HINT)

    def _dtype(self, node: dict[str, Any]) -> Any:
        ref = self._ref(node, frozenset({"numpy.dtype"}))
        self._numbers(self.symbol(node.get("content")))
        return Obj(ref.path)

    def _random_state(self, node: dict[str, Any]) -> Any:
        ref = self._ref(node, frozenset({"numpy.random.mtrand.RandomState"}))
        self._log.use(ref, "construct")
        self._machine.check_values([self.symbol(node.get("content"))])
        return Obj(ref.path)

    def _generator(self, node: dict[str, Any]) -> Any:
        ref = self._ref(node, frozenset({"numpy.random._generator.Generator"}))
        self._log.use(ref, "construct")
        content = _part(node, "content")
        state = self.symbol(content.get("bit_generator"))
        seeds = self.symbol(content["seed_seq"]) if "seed_seq" in content else Map([])
        name = state.get("bit_generator") if type(state) is Map else None
        if name not in _BIT_GENERATORS or type(seeds) is not Map:
            raise RefusedError("a random generator of its schema has no known bit generator", _HINT)
        return Obj(ref.path)

    def _sparse(self, node: dict[str, Any]) -> Any:
        self._member(node, ".npz")
        return self._machine.call(self._ref(node), (), "construct")

    def _cached(self, node: dict[str, Any]) -> Any:
        raise RefusedError(
            f"a node of its schema refers to {node.get('__id__')!r}, which is not there"[:200], _HINT
        )


_UNDER_WAY = object()


def _part(node: dict[str, Any], key: str) -> dict[str, Any]:
    part = node.get(key)
    if not isinstance(part, dict):
        raise RefusedError(f"a node of its schema has no {key}", _HINT)
    return part


def _plain(value: Any) -> Any:
    """Symbols of a JSON value."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return Map([part for key, item in value.items() for part in (key, _plain(item))])
    return value


_LOADERS: dict[str, Callable[[Nodes, dict[str, Any]], Any]] = {
    "JsonNode": Nodes._json, "DictNode": Nodes._dict, "DefaultDictNode": Nodes._default_dict,
    "ListNode": Nodes._list, "TupleNode": Nodes._tuple, "SetNode": Nodes._set, "BytesNode": Nodes._bytes,
    "BytearrayNode": Nodes._bytes, "SliceNode": Nodes._slice, "FunctionNode": Nodes._function,
    "TypeNode": Nodes._function, "PartialNode": Nodes._partial, "ObjectNode": Nodes._object,
    "ConstructorFromReduceNode": Nodes._from_reduce, "NdArrayNode": Nodes._array,
    "MaskedArrayNode": Nodes._masked, "DTypeNode": Nodes._dtype, "RandomStateNode": Nodes._random_state,
    "RandomGeneratorNode": Nodes._generator, "SparseMatrixNode": Nodes._sparse, "TreeNode": Nodes._tree,
    "LossNode": Nodes._reduced, "CachedNode": Nodes._cached,
}  # fmt: skip
