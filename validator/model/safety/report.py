"""What a look at a model file found, as frozen values: no clock, no disk, standard library, Python 3.9."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from validator.documents import MOST_NODES

SAFE = "safe"
UNSAFE = "unsafe"


@dataclass(frozen=True)
class Limits:
    """How much a scan may cost before the file is refused for its size alone.

    `decompressed_bytes` bounds what a compressed file inflates to, and `ratio` its inflation once it is past
    64 MiB; `opcodes` and `depth` bound a pickle's instructions and its nesting (tuples, marks, nested pickles).
    """

    decompressed_bytes: int = 4 << 30
    ratio: int = 300
    opcodes: int = 20_000_000
    depth: int = 200
    findings: int = 100
    nodes: int = MOST_NODES


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Finding:
    """One thing in the file that is refused.

    `use` says what the file does with `name`: `import`, `call`, `construct`, `build`, `value`, or `format` where the
    file itself is at fault. `offset` is the byte (after decompression) and `opcode` the instruction there.
    """

    name: str
    use: str
    offset: int
    reason: str
    hint: str
    opcode: str = ""
    place: str = ""

    def __str__(self) -> str:
        where = f" ({self.opcode})" if self.opcode else ""
        return f"{self.name} at byte {self.offset:,}{where}: {self.reason}"


@dataclass(frozen=True)
class Import:
    """A name that loading the file would import, how it is used (sorted), and whether that is allowed."""

    name: str
    uses: tuple[str, ...]
    allowed: bool


@dataclass(frozen=True)
class SafetyReport:
    """The outcome of scanning one model file.

    `versions` holds pairs of a library and the version that the file records; `preload` the modules a loader
    should import before it locks itself down; `model_class` the class of the object the file holds.
    """

    format: str
    verdict: str
    findings: tuple[Finding, ...] = ()
    imports: tuple[Import, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    model_class: str = ""
    preload: tuple[str, ...] = ()
    compression: str = ""
    notes: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether loading the file runs nothing but what is allowed."""
        return self.verdict == SAFE and not self.findings

    def to_dict(self) -> dict[str, Any]:
        """The report as plain dictionaries, lists, strings and numbers, as it crosses to another process."""
        plain: dict[str, Any] = asdict(self)
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> SafetyReport:
        """A report again, from the JSON of another process.

        Raises TypeError, KeyError or ValueError where it has not the right shape; unsafe whenever it has findings.
        """
        findings = tuple(Finding(**entry) for entry in plain["findings"])
        imports = tuple(
            Import(str(entry["name"]), tuple(map(str, entry["uses"])), entry["allowed"] is True)
            for entry in plain["imports"]
        )
        verdict = SAFE if plain["verdict"] == SAFE and not findings else UNSAFE
        return cls(
            format=str(plain["format"]),
            verdict=verdict,
            findings=findings,
            imports=imports,
            versions=tuple((str(name), str(version)) for name, version in plain["versions"]),
            model_class=str(plain["model_class"]),
            preload=tuple(map(str, plain["preload"])),
            compression=str(plain["compression"]),
            notes=tuple(map(str, plain["notes"])),
            facts=tuple((str(name), str(value)) for name, value in plain["facts"]),
        )


def refused(format_name: str, name: str, reason: str, hint: str, *, compression: str = "") -> SafetyReport:
    """The report of a file that is refused as a whole."""
    finding = Finding(name, "format", 0, reason, hint)
    return SafetyReport(format_name, UNSAFE, (finding,), compression=compression)
