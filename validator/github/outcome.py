"""What there is to say: the results, or why there are none, with one verdict, one line and one report. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from validator.errors import PreflightError, PublishError
from validator.github.hostile import NoResultError, UploadedRun
from validator.github.standing import Kind, State
from validator.github.trust import OWN, Origin
from validator.github.wording import Verdict, headline, one_line, verdict_of
from validator.report.escape import markdown_prose
from validator.results import GateResult

_AGAIN = "look at the log of the run that judged"
#: Of a status line, kept for where an uploaded result came from.
_LINE_CHARS = 140
_STATES: dict[Verdict, State] = {"pass": "success", "fail": "failure", "error": "error"}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The `results` of the models judged; or `unchanged` models of which none was touched; or an `error`, which may
    stand beside the results of other models.

    `origin` says how far a pass can be believed; `uploaded` marks results read from a folder whose origin GitHub
    has yet to be asked about, and `run` is then what that folder says.
    """

    results: tuple[GateResult, ...] = ()
    unchanged: tuple[str, ...] | None = None
    error: PreflightError | None = None
    uploaded: bool = False
    run: UploadedRun | None = None
    origin: Origin = OWN

    @classmethod
    def judged(cls, results: Sequence[GateResult]) -> Outcome:
        """The results of this very run."""
        return cls(results=tuple(results))

    @classmethod
    def no_model_changed(cls, models: Sequence[str]) -> Outcome:
        """Nothing had to be judged: a green answer, so that a required status arrives."""
        return cls(unchanged=tuple(models))

    @classmethod
    def could_not_judge(cls, error: PreflightError, results: Sequence[GateResult] = ()) -> Outcome:
        """No verdict on a model, after `results` on others: not green, it blocks and says why."""
        return cls(error=error, results=tuple(results))

    @classmethod
    def of_run(cls, run: UploadedRun) -> Outcome:
        """What another run has uploaded. A model that it was to judge and did not judge is no pass."""
        error = None
        if run.index.error:
            error = PublishError(run.index.error, hint=run.index.hint or _AGAIN)
        elif run.unjudged:
            first = run.unjudged[0]
            error = PublishError(
                f"{one_line(first.name, 40)}: {first.reason or 'it was not judged'}",
                hint=first.hint or _AGAIN,
            )
        unchanged = run.unchanged if run.unchanged and not run.results and error is None else None
        return cls(results=run.results, unchanged=unchanged, error=error, uploaded=True, run=run)

    def from_origin(self, origin: Origin) -> Outcome:
        """The same, now that it is known where it came from."""
        return replace(self, origin=origin, uploaded=False)

    @property
    def claimed(self) -> Verdict:
        """The verdict of the results alone."""
        if self.unchanged is not None and not self.results:
            return "pass"
        judged = verdict_of(self.results)
        if self.error is not None:
            return "fail" if self.results and judged == "fail" else "error"
        return judged

    @property
    def verdict(self) -> Verdict:
        """The verdict that may be published: a pass needs an origin that is known and accepted."""
        if self.claimed == "pass" and (self.uploaded or not self.origin.accepts_pass):
            return "error"
        return self.claimed

    @property
    def state(self) -> State:
        return _STATES[self.verdict]

    @property
    def line(self) -> str:
        """One line for the status and the log: the verdict and its reason first, where it came from last."""
        if self.error is not None and self.verdict == "error":
            return self._with_label(f"could not judge: {self.error.message}")
        if self.claimed == "pass" and self.verdict == "error":
            why = one_line(self.origin.reason or "its origin is not known", 200)
            return self._with_label(f"not accepted: {why}", f"; {self.origin.remedy}")
        if self.unchanged is not None and not self.results:
            return self._with_label("pass: no model changed")
        return self._with_label(headline(self.results))

    def _with_label(self, said: str, remedy: str = "") -> str:
        """What is said, cut so that where it came from still fits a status; what to do where there is room left."""
        label = f" ({self.origin.label})" if self.origin.label else ""
        room = _LINE_CHARS - len(label) if label else 300
        return one_line(said, room) + label + remedy

    @property
    def kind(self) -> Kind:
        """What sort of verdict it is to others on the same commit."""
        if isinstance(self.error, NoResultError):
            return "void"
        if self.claimed == "pass" and self.verdict == "error":
            return "unaccepted"
        return "unchanged" if self.unchanged is not None and not self.results else "verdict"

    def body(
        self, *, tool_version: str, url: str, limit_chars: int | None = None, limit_bytes: int | None = None
    ) -> str:
        """The report as Markdown within the limits, led by a notice of where it came from."""
        from validator.report.markdown import render_markdown, render_no_change

        lead = f"{self.origin.notice}\n" if self.origin.notice else ""
        if self.unchanged is not None and not self.results:
            return lead + render_no_change(self.unchanged, tool_version=tool_version, full_report_url=url)
        if self.error is not None:
            lead += _error_body(self.error)
        if not self.results:
            return lead
        lead += "\n" if self.error is not None else ""
        return lead + render_markdown(
            self.results,
            limit_chars=limit_chars and limit_chars - len(lead),
            limit_bytes=limit_bytes and limit_bytes - len(lead.encode()),
            full_report_url=url,
            volatile=True,
        )


def _error_body(error: PreflightError) -> str:
    return (
        "## ⛔ Could not judge\n\n"
        f"{markdown_prose(error.message, limit=2_000)}\n\n"
        f"**What to do:** {markdown_prose(error.hint, limit=2_000)}\n\n"
        "Nothing was found fit to ship, so this blocks.\n"
    )
