"""The log of one scan: names asked for, how they are used, and what is refused."""

from __future__ import annotations

from typing import Any

from validator.model.safety.policy import Policy
from validator.model.safety.report import Finding, Import, Limits
from validator.model.safety.symbols import Map, Obj, Ref
from validator.model.safety.versions import recorded_version

_MOST_NAMES = 10_000
_BOOSTERS = ("lightgbm.basic.Booster", "xgboost.core.Booster")


class Log:
    """Collects what every stream of a file shows; shared by nested and trailing pickles."""

    def __init__(self, policy: Policy, limits: Limits) -> None:
        self.opcodes = 0
        self.policy = policy
        self.findings: list[Finding] = []
        self.versions: dict[str, str] = {}
        self.notes: list[str] = []
        self.place = ""
        self.embedded: list[tuple[str, str, Any]] = []
        self._limits = limits
        self._uses: dict[tuple[str, str], set[str]] = {}
        self._refs: dict[tuple[str, str], Ref] = {}
        self._seen: set[tuple[str, str, str]] = set()

    def add(self, name: str, use: str, offset: int, reason: str, hint: str, opcode: str = "") -> None:
        """Note a finding; the same name used in the same way is noted once."""
        key = (name, use, self.place)
        if key in self._seen or len(self.findings) >= self._limits.findings:
            return
        self._seen.add(key)
        self.findings.append(Finding(name[:500], use, offset, reason, hint, opcode, self.place))

    def found(self, ref: Ref) -> None:
        """A global was named; one that is not permitted is refused at the latest in `finish`."""
        key = (ref.module, ref.name)
        if key not in self._refs and len(self._refs) >= _MOST_NAMES:
            self.add(
                ref.path, "import", ref.offset, "is one name too many", "Save the model alone.", ref.opcode
            )
            return
        self._refs.setdefault(key, ref)

    def use(self, ref: Ref, use: str) -> None:
        """A global is used in this way."""
        self._uses.setdefault((ref.module, ref.name), set()).add(use)

    def refuse_ref(self, ref: Ref, use: str, reason: str, offset: int | None = None) -> None:
        """Refuse one use of a global."""
        ref.reported = True
        why = reason if ref.uses else f"{reason}; it is not on the list of what models need"
        at = ref.offset if offset is None else offset
        self.add(ref.path, use, at, why, self.policy.hint(ref), ref.opcode)

    def state(self, target: Obj, state: Map) -> None:
        """An object got its attributes: note the library version that some of them record."""
        found = recorded_version(target, state)
        if found:
            self.versions.setdefault(*found)
        if target.path in _BOOSTERS and len(self.embedded) < _MOST_NAMES:
            self.embedded.append((target.path, self.place, state.get("handle") or state.get("_handle")))

    def finish(self) -> None:
        """Refuse the globals that were asked for, are not permitted, and were never used: importing runs code too."""
        reported = {finding.name for finding in self.findings}
        for ref in self._refs.values():
            if not ref.uses and ref.path not in reported:
                self.refuse_ref(ref, "import", "is imported")

    def imports(self) -> tuple[Import, ...]:
        """Every name asked for, sorted."""
        return tuple(
            Import(ref.path, tuple(sorted(self._uses.get(key, {"import"}))), bool(ref.uses))
            for key, ref in sorted(self._refs.items())
        )

    def preload(self) -> tuple[str, ...]:
        """The modules of the permitted names."""
        return tuple(sorted({ref.module for ref in self._refs.values() if ref.uses}))
