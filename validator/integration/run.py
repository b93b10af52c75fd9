"""The order of the integration test, and what is told of each check."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from validator.errors import PreflightError, SettingsError, UsageError
from validator.integration.asking import COMMAND, ServerError, serving
from validator.integration.checks import CHECKS, Published
from validator.integration.rehearsal import REHEARSALS, Site, missing_tools, site
from validator.registry.errors import DamagedError, RegistryError
from validator.serving.server.golden import read_golden
from validator.serving.server.opening import locate, open_model

_PULLED, _STARTED = "published.artifact", "server.start"
_TITLES: Mapping[str, str] = {
    _PULLED: "What the reference names is whole, judged and signed as asked",
    _STARTED: "A server of it becomes ready",
    **{id: title for id, (title, _) in CHECKS.items()},
    **{id: title for id, (title, _) in REHEARSALS.items()},
}


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One check: what was wrong, or why it was not tried."""

    id: str
    status: Literal["pass", "fail", "skip"]
    message: str = ""
    seconds: float = 0.0

    @property
    def title(self) -> str:
        """What was to be shown."""
        return _TITLES[self.id]


@dataclass(frozen=True, kw_only=True)
class TestReport:
    """What was tried on a published artifact."""

    __test__ = False

    reference: str
    model: str
    version: str
    digest: str
    tried: tuple[Tried, ...]

    @property
    def verdict(self) -> Literal["pass", "fail"]:
        """A pass only where something was tried and nothing failed."""
        good = [one for one in self.tried if one.status == "pass"]
        return "fail" if not good or any(one.status == "fail" for one in self.tried) else "pass"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What is put to the test: the command that serves, the proxy, and whether the rollback is rehearsed."""

    serve: Sequence[str] = COMMAND
    proxy: Sequence[str] = ("haproxy",)
    rehearse: bool = True
    verify_key: Path | None = None


@dataclass
class _Results:
    tell: Callable[[Tried], None]
    found: list[Tried] = field(default_factory=list)

    def add(self, one: Tried) -> None:
        self.found.append(one)
        self.tell(one)

    def attempt(self, id: str, check: Callable[[], str]) -> bool:
        """Whether the check found nothing wrong. What it raises of ours is what is wrong."""
        started = time.perf_counter()
        try:
            wrong = check()
        except PreflightError as error:
            if _is_unable(error):
                raise
            wrong = error.message
        seconds = time.perf_counter() - started
        self.add(Tried(id=id, status="fail" if wrong else "pass", message=wrong, seconds=seconds))
        return not wrong

    def skip(self, ids: Sequence[str], why: str) -> None:
        for id in ids:
            self.add(Tried(id=id, status="skip", message=why))


def run(reference: str, parts: Parts, tell: Callable[[Tried], None]) -> TestReport:
    """Fetch, serve, ask, count, end, and rehearse the rollback.

    Parameters
    ----------
    reference : str
        An artifact folder, an OCI layout, or `oci://HOST/REPOSITORY@sha256:...`.
    parts : Parts
        What serves and what shares traffic.
    tell : callable
        Hears of each check as it ends.

    Returns
    -------
    TestReport
        What the first failure makes impossible is not tried, and says so.

    Raises
    ------
    UsageError
        Where nothing can be tried: the reference is none, or its artifact records no golden requests.
    RegistryError
        Where the registry does not answer, or has nothing of that name.
    """
    results = _Results(tell)
    found: list[Published] = []
    with ExitStack() as stack:
        if results.attempt(_PULLED, lambda: _open(reference, parts, stack, found)):
            _on_a_server(found[0], parts, results)
            _rehearse(found[0], parts, results)
        else:
            results.skip([id for id in _TITLES if id != _PULLED], "there is no artifact to serve")
    served = found[0].opened.served if found else None
    return TestReport(
        reference=reference,
        model=served.model if served else "",
        version=served.version if served else "",
        digest=found[0].digest if found else "",
        tried=tuple(results.found),
    )


def _is_unable(error: PreflightError) -> bool:
    """Whether an error says nothing of what was published: it could not be asked for, or had."""
    return isinstance(error, UsageError) or (
        isinstance(error, RegistryError) and not isinstance(error, DamagedError)
    )


def _open(reference: str, parts: Parts, stack: ExitStack, found: list[Published]) -> str:
    located = stack.enter_context(locate(reference))
    if located.digest is None and not located.folder.is_dir():
        raise UsageError(
            f"there is no artifact folder {reference[:200]}",
            hint="check the path; `model-preflight validate` prints it",
        )
    opened = open_model(str(located.folder), verify_key=parts.verify_key)
    if opened.golden is None:
        raise UsageError(
            f"{reference[:200]} records no golden requests, so no answer can be called right",
            hint="validate the model again with this release",
        )
    found.append(
        Published(
            folder=located.folder,
            digest=located.digest or opened.served.digest,
            opened=opened,
            golden=read_golden(opened.golden),
        )
    )
    return ""


def _on_a_server(it: Published, parts: Parts, results: _Results) -> None:
    started = time.perf_counter()
    try:
        with serving(str(it.folder), ("--drain", "1s"), parts.serve) as server:
            results.add(Tried(id=_STARTED, status="pass", seconds=time.perf_counter() - started))
            for id, (_, check) in CHECKS.items():
                results.attempt(id, partial(check, server, it))
    except ServerError as error:
        results.add(Tried(id=_STARTED, status="fail", message=error.message))
        results.skip(list(CHECKS), "no server became ready")


def _rehearse(it: Published, parts: Parts, results: _Results) -> None:
    ids, missing = list(REHEARSALS), missing_tools()
    if not parts.rehearse:
        results.skip(ids, "left out by --no-rehearsal")
    elif missing:
        results.skip(ids, f"not installed here: {', '.join(missing)}")
    elif any(one.status == "fail" for one in results.found):
        results.skip(ids, "the server alone has failed")
    else:
        with ExitStack() as stack:
            opened: list[Site] = []
            started = time.perf_counter()
            try:
                scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="preflight-")))
                opened.append(stack.enter_context(site(scratch, it, command=parts.serve, proxy=parts.proxy)))
            except SettingsError as error:
                results.skip(ids, f"this model cannot be rolled out: {error.message}")
                return
            except PreflightError as error:
                seconds = time.perf_counter() - started
                results.add(Tried(id=ids[0], status="fail", message=error.message, seconds=seconds))
                results.skip(ids[1:], "the site did not come up")
                return
            for id, (_, check) in REHEARSALS.items():
                results.attempt(id, partial(check, opened[0], it))
