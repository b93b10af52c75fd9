"""The software bill of materials of this image, CycloneDX 1.6, on standard output.

Made from what is installed, not from what was asked for: the Python distributions of the running interpreter and
the packages in dpkg's list. The same image gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
import uuid
from importlib.metadata import Distribution, distributions
from typing import Any
from urllib.parse import quote

_FIELDS = "${Package}\t${Version}\t${Architecture}\n"


def main() -> None:
    components = [*map(python_component, distributions()), *debian_components(), interpreter()]
    components.sort(key=lambda component: str(component["purl"]))
    digest = hashlib.sha256(json.dumps(components, sort_keys=True).encode()).digest()
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}",
        "version": 1,
        "metadata": {"component": product()},
        "components": components,
    }
    json.dump(document, sys.stdout, indent=1, sort_keys=True)
    print()


def product() -> dict[str, Any]:
    return next(
        {**python_component(found), "type": "application"}
        for found in distributions()
        if found.name == "model-preflight"
    )


def python_component(found: Distribution) -> dict[str, Any]:
    name = found.name.lower().replace("_", "-")
    return _component(name, found.version, f"pkg:pypi/{name}@{quote(found.version)}", _licence(found))


def _licence(found: Distribution) -> str:
    """The SPDX expression where the package has one, else the name that it gives its licence, if short."""
    given = [found.metadata[name] for name in ("License-Expression", "License") if name in found.metadata]
    return next((name for name in given if name and len(name) <= 80 and "\n" not in name), "")


def debian_components() -> list[dict[str, Any]]:
    command = ["/usr/bin/dpkg-query", "--show", f"--showformat={_FIELDS}"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    release = platform.freedesktop_os_release()
    distro = f"debian-{release.get('VERSION_ID', release.get('VERSION_CODENAME', 'unknown'))}"
    found = []
    for name, version, architecture in (line.split("\t") for line in lines):
        purl = f"pkg:deb/debian/{name}@{quote(version)}?arch={architecture}&distro={distro}"
        found.append(_component(name, version, purl, ""))
    return found


def interpreter() -> dict[str, Any]:
    version = platform.python_version()
    return _component("python", version, f"pkg:generic/python@{version}", "PSF-2.0")


def _component(name: str, version: str, purl: str, licence: str) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "name": name,
        "version": version,
        "purl": purl,
        "bom-ref": purl,
    }
    if licence:
        component["licenses"] = [{"license": {"name": licence}}]
    return component


if __name__ == "__main__":
    main()
