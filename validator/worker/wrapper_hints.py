"""What to do about an error that a wrapper raises because of where it runs, by the modules that it passed through."""

from __future__ import annotations

import contextlib
from typing import Iterator, List

_PROCESSES = (
    "a worker starts no other processes: use threads, or leave processes to the server that runs the wrapper"
)
_NETWORK = "a worker has no network: put what is fetched there into a package beside the wrapper"
_VARIABLES = (
    "a worker has none of the environment's variables: give it a default, or read the value from a package beside "
    "the wrapper"
)
_LOCALE = "that locale is not installed here: install it, here and where the wrapper serves, or do without"
_HINTS = {
    **dict.fromkeys(
        ("multiprocessing", "subprocess", "concurrent.futures.process", "joblib.externals.loky"), _PROCESSES
    ),
    **dict.fromkeys(("socket", "urllib", "http", "ssl", "urllib3", "requests", "httpx", "aiohttp"), _NETWORK),
}


@contextlib.contextmanager
def hinted() -> Iterator[None]:
    """Errors that pass through here say what to do, where that is known and they do not say so themselves."""
    try:
        yield
    except Exception as error:
        hint = hint_of(error)
        if hint and not getattr(error, "hint", ""):
            with contextlib.suppress(
                AttributeError, TypeError
            ):  # a class that holds no more than it declares
                error.hint = hint  # type: ignore[attr-defined]
        raise


def hint_of(error: BaseException) -> str:
    """What to do, empty where the sandbox has no part in the error."""
    passed = _modules(error)
    if isinstance(error, KeyError) and passed[-1:] == ["os"]:
        return _VARIABLES
    if passed[-1:] == ["locale"]:
        return _LOCALE
    if not isinstance(error, (OSError, RuntimeError)):
        return ""
    for name in reversed(passed):
        hint = next((told for known, told in _HINTS.items() if f"{name}.".startswith(f"{known}.")), "")
        if hint:
            return hint
    return ""


def _modules(error: BaseException) -> List[str]:
    """The modules of the frames that an error passed, from the outermost on."""
    found = []
    trace = error.__traceback__
    while trace is not None:
        found.append(str(trace.tb_frame.f_globals.get("__name__", "")))
        trace = trace.tb_next
    return found
