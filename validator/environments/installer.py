"""Installing packages into a fresh virtual environment: by uv where it is at hand, else by pip."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from validator.environments.interpreter import Interpreter
from validator.environments.requirements import Requirements
from validator.errors import UsageError

_TIMEOUT_S = 900
_TAIL_LINES = 12
#: All that an installer is given: how to reach the package index. No token, no variable of the job.
_GIVEN = frozenset({
    "PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
    "all_proxy", "no_proxy", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS", "UV_INDEX_STRATEGY", "UV_CACHE_DIR", "UV_OFFLINE", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS",
    "UV_HTTP_TIMEOUT", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CERT", "PIP_CACHE_DIR",
    "PIP_DEFAULT_TIMEOUT", "PIP_CONFIG_FILE", "PIP_NO_INDEX",
})  # fmt: skip
_UNREACHABLE = re.compile(
    r"error sending request|dns error|connection (refused|reset)|Max retries|Could not connect|"
    r"NewConnectionError|network is unreachable|Failed to fetch|timed out|Temporary failure in name",
    re.IGNORECASE,
)
_NO_WHEEL = re.compile(
    r"no usable wheels|no wheels|source dist|No matching distribution|no compatible|Requires-Python|"
    r"depends on Python|requires a different python|does not satisfy Python",
    re.IGNORECASE,
)
_NOISE = ("WARNING", "warning", "[notice]", "Using Python", "Looking in")
_CREDENTIALS = re.compile(r"//[^/@\s]+@")


@dataclass(frozen=True, kw_only=True)
class Installer:
    """One of the two: `uv` is the path of that program, or empty for pip."""

    uv: str = ""

    @property
    def name(self) -> str:
        return "uv" if self.uv else "pip"

    def install(
        self, folder: Path, wanted: Requirements, base: Interpreter, environ: Mapping[str, str]
    ) -> None:
        """Make a virtual environment at `folder` and install into it, wheels only. Raises UsageError."""
        given = {name: environ[name] for name in _GIVEN if name in environ}
        given |= {"NO_COLOR": "1", "UV_PYTHON_DOWNLOADS": "never", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        scratch = folder.parent
        _write(scratch / "requirements.txt", wanted.lines)
        _write(scratch / "constraints.txt", wanted.constraints)
        _write(scratch / "helpers.txt", wanted.helpers)
        venv = [base.path, "-I", "-B", "-m", "venv", *(["--without-pip"] if self.uv else []), str(folder)]
        _run(venv, given, scratch, "the virtual environment cannot be made", _VENV_HINT)
        python = str(folder / "bin" / "python")
        hashes = ["--require-hashes"] if wanted.hashed else []
        if self.uv:
            # The scratch folder has no uv.toml: a checkout's own configuration counts for nothing here.
            command = [self.uv, "pip", "install", "--python", python, "--no-build", "--no-progress"]
        else:
            command = [python, "-I", "-m", "pip", "install", "--only-binary", ":all:", "--no-input",
                       "--no-compile", "--progress-bar", "off"]  # fmt: skip
        command += [*hashes, "-r", "requirements.txt", "-c", "constraints.txt"]
        failure = f"{self.name} cannot install what `requirements` asks for under Python {base.release}"
        try:
            _run([*command, *(["-r", "helpers.txt"] if wanted.helpers else [])], given, scratch, failure, "")
        except UsageError:
            if not wanted.helpers:
                raise
            _run(command, given, scratch, failure, "")
        # Without `site` nothing that was just installed is executed; tests are never imported.
        compiled = [base.path, "-I", "-S", "-m", "compileall", "-q", "-x", r"/tests?/", str(folder / "lib")]
        subprocess.run(compiled, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


_VENV_HINT = "install the Python's own venv module (Debian: python3-venv), or uv"


def find_installer(environ: Mapping[str, str]) -> Installer:
    """uv from PATH, from our own environment, or none: then pip it is."""
    beside = Path(sys.executable).parent / "uv"
    found = shutil.which("uv", path=environ.get("PATH")) or (str(beside) if beside.is_file() else "")
    if not found and importlib.util.find_spec("uv") is not None:
        found = str(importlib.import_module("uv").find_uv_bin())
    return Installer(uv=found)


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _run(command: list[str], environ: Mapping[str, str], folder: Path, failure: str, hint: str) -> None:
    try:
        done = subprocess.run(
            command, env=dict(environ), cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"{failure}: it took longer than {_TIMEOUT_S} s", hint="try again") from error
    except OSError as error:
        raise UsageError(f"{failure}: {error.strerror}", hint=hint or "install uv") from error
    if done.returncode:
        told = (done.stderr or done.stdout).decode("utf-8", "replace")
        raise UsageError(f"{failure}: {_tail(told)}", hint=hint or _hint(told))


def _tail(told: str) -> str:
    """The installer's last words in one line, without credentials."""
    lines = [" ".join(line.split()) for line in told.splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(_NOISE)] or lines
    return _CREDENTIALS.sub("//…@", " ".join(kept[-_TAIL_LINES:]))[-1500:]


def _hint(told: str) -> str:
    if _UNREACHABLE.search(told):
        return "the package index cannot be reached: build where it can (environments are kept), or give --python"
    if _NO_WHEEL.search(told):
        return (
            "only wheels are installed: name the Python that the model was trained under (python = 3.9), "
            "or versions that have wheels for this one"
        )
    return "mend the requirements; `pip install` with the same file under the same Python shows the same"
