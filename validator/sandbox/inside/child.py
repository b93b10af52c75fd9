"""A child of the zygote: locks itself down, then answers requests of its one job until the channel closes."""

from __future__ import annotations

import gc
import importlib
import os
import re
import time
from typing import Any, Dict, List, Optional, Tuple

from validator.sandbox import wire
from validator.sandbox.inside.own_code import adopt
from validator.sandbox.inside.watch import Watch

_TRIED = "the sandbox refused it; find out who made the model, and do not load it elsewhere"
#: What libraries of C++ add to their messages, which tells nobody what to do.
_FRAMES = re.compile(r"\s*\nStack trace:\n.*\Z", re.DOTALL)
#: How libraries say that they were given no memory: in C++, numpy's words, ONNX Runtime's.
_NO_MEMORY = re.compile(r"bad_alloc|bad allocation|[Uu]nable to allocate|[Ff]ailed to allocate")
_MORE_MEMORY = (
    "raise worker-memory-mb, or save the model in a form that takes less to read (binary, not JSON)"
)
#: Job name -> module; its class of that name (`native`: `NativeJob`) has a public method for each operation.
JOBS = {
    name: f"validator.worker.jobs.{name}"
    for name in (
        "scan",
        "sample",
        "export",
        "native",
        "convert",
        "onnx",
        "judge",
        "measure",
        "deployment",
        "forms",
        "wrapper",
        "environment",
        "estimator",
    )
}


def run(channel: int, order: Dict[str, Any], zygote: int) -> None:
    """Serve the job that `order` names, and die with the process `zygote`. The channel is the only way out."""
    try:
        module = importlib.import_module(JOBS[order["job"]])
        report = _lock_down(order, channel, zygote)
        if order["site"]:
            _find_packages()
        adopt(order["packages"])
        job = getattr(module, f"{order['job'].capitalize()}Job")(**order["options"])
        watch = Watch(order["policy"]["scratch"]) if order["job"] == "native" else None
        wire.send(channel, {"ready": True, "lockdown": report})
        _serve(channel, job, watch)
    except (wire.Closed, wire.Timeout):
        return
    except BaseException as error:  # SystemExit from a model, say: the supervisor hears of it before the end
        wire.send(channel, {"error": describe_error(error)})
        raise


def _serve(channel: int, job: Any, watch: Optional[Watch]) -> None:
    while True:
        request, arrays = wire.receive(channel)
        meta, answer = _answer(job, request, arrays)
        tried = watch.take() if watch else []
        # Loading may look for caches; whoever answers rows has no reason to touch anything.
        if tried and not str(request.get("op")).startswith("load"):
            message = f"while it answered, the model tried to {'; '.join(tried)}"
            meta = {"error": {"type": "Tampering", "bases": [], "message": message, "hint": _TRIED}}
            answer = []
        wire.send(channel, meta, answer)
        del request, arrays, answer
        gc.collect(0)


def _lock_down(order: Dict[str, Any], channel: int, zygote: int) -> Any:
    from validator.sandbox.lockdown import LockdownPolicy, apply

    policy = dict(order["policy"], parent_pid=zygote)
    policy["keep_fds"] = tuple(range(channel, channel + order["fds"]))
    os.environ["TMPDIR"] = policy["scratch"]
    return apply(LockdownPolicy(**policy)).to_json()


def _find_packages() -> None:
    """What `site` does at the start of an interpreter, its .pth files and sitecustomize included: now locked down."""
    import site

    site.main()


def _answer(job: Any, request: wire.Meta, arrays: wire.Arrays) -> Tuple[wire.Meta, List[Any]]:
    """What the operation gives, or the error it raised, as data. Times are this process's own clock."""
    name = str(request.get("op"))
    operation = None if name.startswith("_") else getattr(job, name, None)
    if operation is None:
        return {
            "error": {"type": "WireError", "bases": [], "message": f"no operation {name!r}", "hint": ""}
        }, []
    started = time.perf_counter()
    try:
        result, answer = operation(arrays, **request.get("args", {}))
    except MemoryError:
        told = {"type": "MemoryError", "bases": [], "message": "out of memory", "hint": _MORE_MEMORY}
        return {"error": told}, []
    except (Exception, SystemExit) as error:  # a model may raise anything; the supervisor names it
        return {"error": describe_error(error), "seconds": time.perf_counter() - started}, []
    return {"result": result, "seconds": time.perf_counter() - started}, list(answer)


def _remedy(message: str) -> str:
    """What to do about an error of a library that only we can know."""
    return _MORE_MEMORY if _NO_MEMORY.search(message) else ""


def describe_error(error: BaseException) -> Dict[str, Any]:
    """An exception as data: its type, the built-in types it also is, its message, and a hint if it has one."""
    bases = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
    message = getattr(error, "message", None) or str(error)
    kind = type(error)
    return {
        "type": f"{kind.__module__}.{kind.__name__}" if kind.__name__.lower() == "error" else kind.__name__,
        "bases": bases[:20],
        "message": _FRAMES.sub("", str(message)[:20_000]),
        "hint": str(getattr(error, "hint", "") or _remedy(str(message)))[:5_000],
    }
