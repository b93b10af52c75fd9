"""examples/life/compose.yaml and its Dockerfile agree with each other, the main image and what is ignored."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
LIFE = ROOT / "examples" / "life"
DOCKERFILE = (LIFE / "Dockerfile").read_text()


def test_the_container_has_no_rights_and_builds_what_is_there() -> None:
    (service,) = yaml.safe_load((LIFE / "compose.yaml").read_text())["services"].values()
    build = service.pop("build")
    assert (LIFE / build["context"]).resolve() == ROOT
    assert ROOT / build["dockerfile"] == LIFE / "Dockerfile"
    assert service == {
        "user": "${RUN_AS:-1000:1000}",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": ["/tmp"],
        "network_mode": "none",
        "volumes": ["./out:/life"],
    }


def test_the_image_is_pinned_as_the_main_one_and_copies_what_the_context_has() -> None:
    base = re.search(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert base is not None
    assert f"FROM {base[1]} AS" in (ROOT / "Dockerfile").read_text()
    sources = [line.split()[1] for line in DOCKERFILE.splitlines() if line.startswith("COPY")]
    kept = [line[1:] for line in (LIFE / "Dockerfile.dockerignore").read_text().split() if line[0] == "!"]
    assert sorted(sources) == sorted(kept)
    assert all((ROOT / source).exists() for source in sources)
    assert "--require-hashes" in DOCKERFILE


def test_it_installs_the_servers_that_the_program_starts() -> None:
    tools = re.search(r"^TOOLS = \((.*)\)$", (LIFE / "life.py").read_text(), re.MULTILINE)
    assert tools is not None
    installed = re.search(r"no-install-recommends ([\w -]+)", DOCKERFILE)
    assert installed is not None
    assert set(re.findall(r'"([\w-]+)"', tools[1])) <= set(installed[1].split())
