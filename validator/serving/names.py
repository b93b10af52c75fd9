"""Names that were given against names that the contract has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from validator.serving.breach import Breach, shown_name
from validator.serving.errors import ExtraFeatureError, MissingFeatureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHOWN = 10


def check_names(
    given: Sequence[Any], wanted: Sequence[str], *, ignore_extra: bool, mask: NDArray[Any] | None = None
) -> list[Breach]:
    """Missing, surplus and doubled names; order is of no account. `mask` [N]: the rows that gave these names."""
    present = set(given)
    missing = [name for name in wanted if name not in present]
    known = set(wanted)
    extra = [name for name in given if name not in known]
    doubled = (
        sorted({str(name) for name in given if name in known and list(given).count(name) > 1})
        if len(present) < len(given)
        else []
    )
    breaches = []
    if missing:
        breaches.append(_missing(missing, extra, len(wanted), mask))
    if extra and not ignore_extra:
        breaches.append(_extra(extra, wanted, mask))
    if doubled:
        breaches.append(
            Breach(
                kind=ExtraFeatureError,
                message=f"given more than once: {_listed(doubled)}",
                hint="give each feature once",
                features=tuple(doubled),
                mask=mask,
            )
        )
    return breaches


def _missing(missing: Sequence[str], extra: Sequence[Any], total: int, mask: NDArray[Any] | None) -> Breach:
    pairs = [(name, nearest(name, extra)) for name in missing[:_SHOWN]]
    listed = ", ".join(
        shown_name(name) + (f" (is {shown_name(near)} meant?)" if near else "") for name, near in pairs
    )
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    near = next((f"rename {shown_name(near)} to {shown_name(name)}" for name, near in pairs if near), "")
    return Breach(
        kind=MissingFeatureError,
        message=f"{len(missing)} of {total} features missing: {listed}{more}",
        hint=near or "give every feature that the contract names, under its name",
        features=tuple(missing),
        mask=mask,
    )


def _extra(extra: Sequence[Any], wanted: Sequence[str], mask: NDArray[Any] | None) -> Breach:
    listed = []
    for name in extra[:_SHOWN]:
        near = nearest(name, wanted)
        listed.append(shown_name(name) + (f" (close to {shown_name(near)})" if near else ""))
    more = f" and {len(extra) - _SHOWN} more" if len(extra) > _SHOWN else ""
    return Breach(
        kind=ExtraFeatureError,
        message=f"not in the contract: {', '.join(listed)}{more}",
        hint="leave them out, or load the deployment with extra='ignore'",
        features=tuple(map(str, extra)),
        mask=mask,
    )


def nearest(name: Any, candidates: Sequence[Any]) -> str | None:
    """The candidate that `name` is most likely a misspelling of, capitals and separators aside first."""
    import difflib

    texts = [candidate for candidate in candidates if isinstance(candidate, str)]
    plain = _plain(str(name))
    for text in texts:
        if _plain(text) == plain:
            return text
    close = difflib.get_close_matches(str(name), texts[:1000], n=1, cutoff=0.6)
    return close[0] if close else None


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(shown_name(name) for name in names[:_SHOWN]) + more
