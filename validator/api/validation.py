"""What `validator.validate` returns: one model's result, for a script to act on and a notebook to show."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

from validator.causes import blocks, causes_first, is_note
from validator.report.escape import clean
from validator.report.terminal import TerminalStyle, render_terminal
from validator.report.view import ModelView, model_view
from validator.results import CheckResult, GateResult

_MOST_SHOWN = 10
_CELL = "padding:.25em .9em .25em 0;text-align:left;vertical-align:top"


class NotFitToShipError(AssertionError):
    """The verdict is not "pass". `validation` holds what was found."""

    def __init__(self, validation: Validation) -> None:
        super().__init__(validation.explained)
        self.validation = validation


@dataclass(frozen=True, kw_only=True, repr=False)
class Validation:
    """One model's verdict and everything that it stands on.

    True where the verdict is "pass", so that ``assert validator.validate(...)`` asserts what it says. In a notebook
    it is shown as HTML; `str` gives what the command prints.

    Attributes
    ----------
    result : GateResult
        Everything that was found: what `result.json` holds.
    out : Path
        The folder that was written: `result.json`, `report.html`, `report.md`, `junit.xml` and `artifact/`.
    """

    result: GateResult
    out: Path

    @property
    def passed(self) -> bool:
        """Whether the model may ship."""
        return self.result.verdict == "pass"

    @property
    def verdict(self) -> str:
        """ "pass" or "fail"."""
        return self.result.verdict

    @property
    def version(self) -> str:
        """The artifact's version, such as `v_20251105T093000Z_0a1b2c3d`."""
        return self.result.version

    @property
    def artifact(self) -> Path | None:
        """The artifact's folder, for `Deployment.load`; None where none could be written."""
        written = self.result.artifact
        return (
            None
            if written is None
            else self.out / "artifact" / Path(written.path).parent.name / Path(written.path).name
        )

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """The checks that forbid shipping, a cause before its consequences."""
        return tuple(causes_first(check for check in self.result.checks if blocks(check)))

    @property
    def warnings(self) -> tuple[CheckResult, ...]:
        """The checks that passed with a warning: what somebody should do something about."""
        return tuple(
            check
            for check in self.result.checks
            if check.status == "warn" and not check.waived and not is_note(check)
        )

    @property
    def explained(self) -> str:
        """The verdict, and what failed, with what to do about it: plain text."""
        view = model_view(self.result)
        lines = [
            f"{clean(view.name)} is {'' if self.passed else 'not '}fit to ship: {clean(view.lead, limit=600)}"
        ]
        for problem in view.problems[:_MOST_SHOWN]:
            where = f" on {problem.runtimes}" if problem.runtimes else ""
            lines.append(
                f"- {clean(problem.title)}{where} [{problem.id}]: {clean(problem.message, limit=600)}"
            )
            lines += [f"  hint: {clean(problem.hint, limit=600)}"] if problem.hint else []
        if len(view.problems) > _MOST_SHOWN:
            lines.append(f"- and {len(view.problems) - _MOST_SHOWN} more")
        lines.append(f"report: {self.out / 'report.html'}")
        return "\n".join(lines)

    def raise_for_failure(self) -> Validation:
        """Return this validation where the model may ship.

        Raises
        ------
        NotFitToShipError
            An AssertionError that names what failed and what to do about it.
        """
        __tracebackhide__ = True  # pytest shows the caller's line
        if not self.passed:
            raise NotFitToShipError(self)
        return self

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"<Validation {self.verdict}: {clean(self.result.model.name)} {clean(self.version)}>"

    def __str__(self) -> str:
        return render_terminal(
            [self.result], look=TerminalStyle(width=100), reports=[str(self.out / "report.md")]
        )

    def _repr_html_(self) -> str:
        """A few lines of HTML with no style sheet and no script: every notebook shows them, in light and dark."""
        view = model_view(self.result)
        colour = "#1a7f37" if view.passed else "#cf222e"
        head = "may ship" if view.passed else "must not ship"
        parts = [
            "<div>",
            f'<p><strong><span style="color:{colour}">{"✓" if view.passed else "✗"} {_shown(view.name)} {head}</span>'
            f"</strong> <code>{_shown(view.result.version)}</code><br>{_shown(view.lead, 600)}</p>",
            *([f"<p>{_shown(view.quality, 600)}</p>"] if view.quality else []),
            *_table("What is wrong", view, passed=False),
            *_table("Warnings", view, passed=True),
            f"<p>{_facts(view)}</p>",
            f"<p>Report: <code>{escape(str(self.out / 'report.html'))}</code></p>",
            "</div>",
        ]
        return "\n".join(parts)


def _table(title: str, view: ModelView, *, passed: bool) -> list[str]:
    found = view.warnings if passed else view.problems
    if not found:
        return []
    rows = [
        f'<tr><td style="{_CELL}"><code>{_shown(one.id)}</code></td>'
        f'<td style="{_CELL}">{_shown(f"{one.title} ({one.runtimes})" if one.runtimes else one.title, 200)}</td>'
        f'<td style="{_CELL}">{_shown(one.message, 600)}'
        f"{f'<br><em>{_shown(one.hint, 600)}</em>' if one.hint else ''}</td></tr>"
        for one in found[:_MOST_SHOWN]
    ]
    more = len(found) - _MOST_SHOWN
    rest = [f"<p>and {more} more, in the report</p>"] if more > 0 else []
    return [f"<p><strong>{title}</strong></p>", "<table>", *rows, "</table>", *rest]


def _facts(view: ModelView) -> str:
    return " · ".join(f"{_shown(name)}: <strong>{_shown(value)}</strong>" for name, value in view.facts)


def _shown(text: str, limit: int = 100) -> str:
    """Untrusted text, harmless in HTML."""
    return escape(clean(text, limit=limit))
