"""The log of one scan: names asked for, how they are used, and what is refused."""

from __future__ import annotations

from typing import Any

from validator.model.safety.policy import Policy
from validator.model.safety.program import Program
from validator.model.safety.report import Finding, Import, Limits
from validator.model.safety.symbols import Map, Obj, Ref
from validator.model.safety.versions import recorded_version

_MOST_NAMES = 10_000
# The attributes in which a library keeps its model's own format.
_SERIALISED = {
    "lightgbm.basic.Booster": ("handle", "_handle"),
    "xgboost.core.Booster": ("handle",),
    "catboost.core.CatBoost": ("__model",),
    "catboost.core.CatBoostClassifier": ("__model",),
    "catboost.core.CatBoostRegressor": ("__model",),
    "catboost.core.CatBoostRanker": ("__model",),
}


class State:
    """The attributes that an object was given, and where."""

    __slots__ = ("attributes", "offset", "path", "place")

    def __init__(self, path: str, attributes: Map, place: str, offset: int) -> None:
        self.path = path
        self.attributes = attributes
        self.place = place
        self.offset = offset


class Log:
    """Collects what every stream of a file shows; shared by nested and trailing pickles."""

    def __init__(self, policy: Policy, limits: Limits) -> None:
        self.opcodes = 0
        self.policy = policy
        self.findings: list[Finding] = []
        self.versions: dict[str, str] = {}
        self.notes: list[str] = []
        self.place = ""
        self.program = Program()
        self.inline_arrays = 0
        self.embedded: list[tuple[str, str, Any]] = []
        self.states: list[State] = []
        self.keyed: list[State] = []
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

    def state(self, target: Obj, state: Map, offset: int) -> None:
        """An object got its attributes: keep them for `values`, and what a library's own parser will read of them."""
        self.states.append(State(target.path, state, self.place, offset))
        found = recorded_version(target, state)
        if found:
            self.versions.setdefault(*found)
        for key in _SERIALISED.get(target.path, ()):
            content = state.get(key)
            if content is not None:
                self.embedded.append((target.path, self.place, content))

    def items(self, path: str, flat: list[Any], offset: int) -> None:
        """A dictionary whose keys are attributes, too, got these keys and values: keep them for `values`."""
        self.keyed.append(State(path, Map(flat), self.place, offset))

    def names_root(self, root: str) -> bool:
        """Whether any permitted name of this library or class path is asked for."""
        return any(ref.uses and f"{ref.path}.".startswith(f"{root}.") for ref in self._refs.values())

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
