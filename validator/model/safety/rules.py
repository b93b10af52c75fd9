"""What each permitted call and BUILD may be given, and which symbol it yields.

A rule takes the machine, the global and its arguments, and raises RefusedError where the arguments are not those
that the library's own `__reduce__` writes: a permitted name is permitted for that use alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from validator.model.safety import rules_numpy, rules_pandas
from validator.model.safety.demands import RefusedError
from validator.model.safety.program import ITEMS
from validator.model.safety.symbols import DICT_LIKE, Bag, Map, Obj, Raw, Ref, class_of

__all__ = ["RefusedError", "build", "call"]

TUPLE_STATE = frozenset({"pandas.core.internals.managers.SingleBlockManager"})
Rule = Callable[[Any, Ref, "tuple[Any, ...]"], Any]
_DECIMAL = re.compile(r"-?(\d{1,1000}(\.\d{1,1000})?(E[+-]?\d{1,4})?|Infinity|s?NaN\d{0,20})\Z")
_TEXT = frozenset((str,))
_VERSION_KEYS = {"_sklearn_version": "scikit-learn"}


def call(machine: Any, ref: Ref, arguments: tuple[Any, ...], use: str, keywords: Map | None) -> Any:
    """The symbol that calling (`use` is `call`) or constructing (`construct`) the permitted global yields."""
    if not ref.uses:
        raise RefusedError("is constructed" if use == "construct" else "is called")
    if keywords is not None and keywords.flat:
        raise RefusedError("is constructed with keyword arguments")
    if ref.rule and (use == "call" or ref.rule == "record"):
        return _RULES[ref.rule](machine, ref, arguments)
    if "new" not in ref.uses:
        raise RefusedError("may only stand as a value, but is called")
    if use == "call" or arguments:
        raise RefusedError("is called with arguments, though models only ever construct it empty and fill it")
    return _instance(ref)


def build(machine: Any, target: Obj, state: Any) -> Any:
    """The symbol that stands on the stack after the object was given its state."""
    return _BUILDS[target.build](machine, target, state)


def _instance(ref: Ref) -> Obj:
    if ref.path == "joblib.numpy_pickle.NumpyArrayWrapper":
        return Obj(ref.path, "inline_array")
    if ref.path in TUPLE_STATE:
        return Obj(ref.path, "native")
    return Obj(ref.path, "state", "dict" if ref.path in DICT_LIKE else "")


def _plain(machine: Any, arguments: tuple[Any, ...]) -> None:
    machine.check_values(list(arguments))


def _need(condition: bool, reason: str) -> None:
    if not condition:
        raise RefusedError(reason)


def _reconstructor(machine: Any, _ref: Ref, arguments: tuple[Any, ...]) -> Any:
    _need(len(arguments) == 3, "is called with other than three arguments")
    target, base, state = arguments
    _need(type(target) is Ref and type(base) is Ref, "is called on something that is no class")
    machine.log.use(target, "construct")
    machine.log.use(base, "construct")
    if not target.uses:
        machine.log.refuse_ref(target, "construct", "is constructed", machine.offset)
        return Obj(target.path, "any", "any")
    if "any" in target.uses:
        return Obj(target.path, "any", "any")
    if base.path == "builtins.object" and state is None and "new" in target.uses:
        return _instance(target)
    if base.path == "builtins.dict" and type(state) is Map and target.path in DICT_LIKE:
        machine.log.items(target.path, state.flat, machine.offset)
        return _instance(target)
    if base.path == "builtins.tuple" and isinstance(state, tuple) and target.rule == "record":
        _plain(machine, state)
        return Obj(target.path)
    raise RefusedError(f"makes {target.path} in a way that its own pickles do not")


def _encode(_machine: Any, _ref: Ref, arguments: tuple[Any, ...]) -> Any:
    _need(len(arguments) == 2 and arguments[1] in ("latin1", "latin-1"), "encodes otherwise than in Latin-1")
    text = arguments[0]
    if type(text) is Raw and text.kind == "str":
        text = text.content().decode("utf-8", "surrogatepass")
    _need(type(text) is str, "encodes something that is no text")
    try:
        encoded = text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise RefusedError("encodes text that is not Latin-1") from error
    return Raw(encoded, 0, len(encoded), "bytes") if len(encoded) > 4_096 else encoded


def _bytes(machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    if not arguments:
        return b"" if ref.name == "bytes" else Raw(b"", 0, 0, "bytearray")
    content = arguments[0]
    if ref.name == "bytearray" and len(arguments) == 1 and type(content) in (bytes, Raw):
        _need(type(content) is bytes or content.kind != "str", "is called with other than bytes")
        whole = content if type(content) is bytes else content.content()
        return Raw(whole, 0, len(whole), "bytearray")
    if ref.name == "bytearray" and len(arguments) == 2 and type(content) is str:
        encoded = _encode(machine, ref, arguments)
        whole = encoded if type(encoded) is bytes else encoded.content()
        return Raw(whole, 0, len(whole), "bytearray")
    is_bytes = type(content) is bytes or (type(content) is Raw and content.kind != "str")
    _need(len(arguments) == 1 and is_bytes, "is called with other than bytes")
    return content


def _numbers(_machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    _need(
        len(arguments) <= 3 and all(item is None or type(item) in (int, float, bool) for item in arguments),
        "is called with other than a few numbers",
    )
    return Obj(ref.path)


def _collection(machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    _plain(machine, arguments)
    if ref.name in ("set", "frozenset"):
        given = arguments[0] if len(arguments) == 1 else ()
        if len(arguments) > 1 or not isinstance(given, (list, tuple)):
            raise RefusedError("is called with other than a list")
        made = Bag(ref.name, list(given))
        if ref.name == "set":
            machine.program.add(ITEMS, made, tuple(given), "set")
        return made
    _need(
        len(arguments) <= 2
        and all(isinstance(item, (list, tuple, Map, int, type(None))) for item in arguments),
        "is called with other than a list",
    )
    return Obj(ref.path, "state", "list" if ref.name == "deque" else "dict")


def _defaultdict(machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    _need(len(arguments) <= 1, "is called with more than a factory")
    _plain(machine, arguments)
    return Obj(ref.path, "", "dict")


def _partial(machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    _need(len(arguments) == 1 and type(arguments[0]) is Ref, "wraps something that is no known function")
    _plain(machine, arguments)
    return Obj(ref.path, "partial")


def _record(machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    """A class that takes plain values and does nothing with them but keep them."""
    _plain(machine, arguments)
    return Obj(ref.path, "state")


def _moment(_machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    """A date, time, duration or interval: short texts, numbers, or others of the kind."""
    for index, item in enumerate(arguments):
        plain = item is None or type(item) in (int, float, bool, bytes)
        # pandas takes a time zone's name, which may be the path of a file, as the third.
        plain = plain or (type(item) is str and (index < 2 or ref.name == "Interval") and "/" not in item)
        _need(plain or (type(item) is Obj and item.detail is _moment), "is called with other than numbers")
    return Obj(ref.path, "", "", _moment)


def _decimal(_machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    text = arguments[0] if len(arguments) == 1 else None
    _need(
        type(text) is str and _DECIMAL.match(text) is not None, "is called with other than a number's digits"
    )
    return Obj(ref.path)


def _native(_machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    """An extension type made from numbers and arrays: Cython's `__cinit__` converts them or raises."""
    for item in arguments:
        number = item is None or type(item) in (int, float, bool)
        _need(number or class_of(item).startswith("numpy."), "is called with other than numbers and arrays")
    return Obj(ref.path, "state")


def _own_class(ref: Ref, arguments: tuple[Any, ...], machine: Any) -> Ref:
    target = arguments[0] if arguments else None
    if type(target) is not Ref:
        raise RefusedError("is called on something that is no class")
    machine.log.use(target, "construct")
    _need("native" in target.uses, f"is called on {target.path}, which it does not make")
    own = target.module.partition(".")[0] == ref.module.partition(".")[0]
    _need(own, f"is called on {target.path} of another library")
    return target


def _new_obj(machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    _need(len(arguments) == 1, "is called with other than a class")
    return Obj(_own_class(ref, arguments, machine).path, "native")


def _pyx_unpickle(machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    """Cython's generated reconstructor: the class, a checksum, and the state or None."""
    _need(len(arguments) == 3 and type(arguments[1]) is int, "is called otherwise than Cython calls it")
    target = _own_class(ref, arguments, machine)
    _need(arguments[2] is None or isinstance(arguments[2], tuple), "is given a state that is no tuple")
    _plain(machine, arguments[2:])
    return Obj(target.path, "native" if arguments[2] is None else "")


def _index(machine: Any, _ref: Ref, arguments: tuple[Any, ...]) -> Any:
    _need(len(arguments) == 2 and type(arguments[1]) is Map, "is called otherwise than pandas calls it")
    target = arguments[0]
    _need(type(target) is Ref and "index" in target.uses, "makes something that is no index")
    machine.log.use(target, "construct")
    # A type's or time zone's name may be the path of a file.
    named = [arguments[1].get(key) for key in ("dtype", "tz", "freq")]
    _need(not any(type(name) is str and "/" in name for name in named), "is named after a path")
    return Obj(target.path)


def _rng(machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    for item in arguments:
        known = type(item) is str or (type(item) is Ref and "rng" in item.uses)
        known = known or (type(item) is Obj and item.path.startswith("numpy.random."))
        _need(known, "is called with other than a bit generator")
        if type(item) is Ref:
            machine.log.use(item, "construct")
    if ref.name == "__bit_generator_ctor":
        first = arguments[0] if arguments else "MT19937"
        return Obj(first.path if type(first) is Ref else f"numpy.random.{first}", "any_value")
    return Obj(f"numpy.random.{'Generator' if 'generator' in ref.name else 'RandomState'}", "any_value")


def _build_state(machine: Any, target: Obj, state: Any) -> Any:
    """A plain object's attributes: a dictionary, or the pair that classes with slots write."""
    if isinstance(state, tuple):
        _need(
            len(state) == 2 and (state[0] is None or type(state[0]) is Map),
            "is given a state that is no dictionary",
        )
        _need(
            not (type(state[1]) is Map and state[1].flat) or target.path.startswith("sklearn."),
            "has attributes set one by one, which can run code",
        )
        maps = [part for part in state if type(part) is Map]
    else:
        _need(type(state) is Map, "is given a state that is no dictionary")
        maps = [state]
    for part in maps:
        names = part.flat[::2]
        _need(_TEXT.issuperset(map(type, names)), "gets an attribute whose name is no plain text")
        for key in names:
            if key[:2] == "__" and key.endswith("__"):
                raise RefusedError(f"gets an attribute {key}, which changes how Python treats it")
            if key in _VERSION_KEYS and type(version := part.get(key)) is str:
                machine.log.versions.setdefault(_VERSION_KEYS[key], version[:50])
        _need(len(set(names)) == len(names), "gets an attribute twice")
        _need(not {"handle", "_handle"} <= set(names), "holds two models, of which one would be used")
        machine.log.state(target, part, machine.offset)
    target.build = ""
    return target


def _build_any_value(machine: Any, target: Obj, state: Any) -> Any:
    if type(state) is Map:
        names = state.flat[::2]
        plain = all(type(name) is str for name in names)
        _need(plain and len(set(names)) == len(names), "gets an attribute twice, or one without a plain name")
    machine.check_values([state])
    target.build = ""
    return target


def _build_native(machine: Any, target: Obj, state: Any) -> Any:
    _need(isinstance(state, (tuple, Map)), "is given a state that is neither tuple nor dictionary")
    return _build_any_value(machine, target, state)


def _build_partial(machine: Any, target: Obj, state: Any) -> Any:
    _need(isinstance(state, tuple) and len(state) == 4, "is given a state that functools does not write")
    function, arguments, keywords, extra = state
    _need(type(function) is Ref, "wraps something that is no known function")
    _need(isinstance(arguments, tuple) and type(keywords) is Map, "is given arguments that are no tuple")
    _need(extra is None or (type(extra) is Map and not extra.flat), "is given further attributes")
    names = keywords.flat[::2]
    plain = all(type(name) is str for name in names)
    _need(plain and len(set(names)) == len(names), "is given arguments without a plain name, or twice")
    machine.check_values([function, arguments])
    target.build, target.detail = "", (function, arguments, keywords)
    return target


_RULES: dict[str, Rule] = {
    "reconstructor": _reconstructor, "encode": _encode, "bytes": _bytes, "numbers": _numbers,
    "collection": _collection, "defaultdict": _defaultdict, "partial": _partial, "record": _record,
    "moment": _moment, "decimal": _decimal, "native": _native, "newobj": _new_obj,
    "pyx": _pyx_unpickle, "index": _index, "rng": _rng,
    **rules_numpy.RULES, **rules_pandas.RULES,
}  # fmt: skip
_BUILDS: dict[str, Callable[[Any, Obj, Any], Any]] = {
    "state": _build_state, "any": lambda _machine, target, _state: target, "any_value": _build_any_value,
    "native": _build_native, "partial": _build_partial, **rules_numpy.BUILDS,
}  # fmt: skip
