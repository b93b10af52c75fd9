"""`compose.yaml`: proxy, two slots, rollout, Prometheus, Alertmanager and Grafana, on one private network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from validator.monitoring.rule import Watched
from validator.monitoring.settings import MonitorSettings
from validator.rollout.settings import parse_settings
from validator.rollout.stages import weights
from validator.rollout.traffic.haproxy_config import configuration

#: Who stands where on the network that only these see.
ADDRESSES = {
    "targets": ("blue:8080", "green:8080"),
    "proxy": "proxy:8404",
    "rollout": "rollout:9100",
    "prometheus": "prometheus:9090",
    "alertmanager": "alertmanager:9093",
}
_USER = "${RUN_AS:-1000:1000}"
_OURS = "ghcr.io/model-preflight/model-preflight"
_IMAGES = {
    "proxy": "docker.io/library/haproxy:2.6",
    "prometheus": "docker.io/prom/prometheus:v2.42.0",
    "alertmanager": "docker.io/prom/alertmanager:v0.25.0",
    "grafana": "docker.io/grafana/grafana:10.1.10",
}


def on_network(settings: MonitorSettings) -> MonitorSettings:
    """The settings with the addresses of the compose network."""
    return settings.model_copy(update=ADDRESSES)


def rollout_toml(watched: Watched) -> str:
    """The rollout's own settings, inside of its container."""
    limits = watched.limits
    lines = [
        "# Paths and addresses are those inside of the containers.",
        f'model = "{watched.subject.model}"',
        'directory = "state"',
        'prometheus = "http://prometheus:9090"',
        f"slo_ms = {limits.slo_ms!r}",
        f"slo_percent = {limits.slo_percent!r}",
        f"slow_percent = {limits.slow_percent!r}",
    ]
    for slot in ("blue", "green"):
        lines += ["", f"[slots.{slot}]", f'address = "{slot}:8080"', f'url = "http://{slot}:8080"']
        lines.append('token_file = "/run/secrets/lease"')
    lines += ["", "[haproxy]", 'config = "haproxy/haproxy.cfg"', 'socket = "haproxy/admin.sock"']
    lines += ['bind = ":8080"', 'metrics_bind = ":8404"', "resolve = true"]
    return "\n".join(lines) + "\n"


def first_haproxy(rollout: str) -> str:
    """The proxy's first configuration, from the text of `rollout.toml`: all traffic to blue."""
    settings = parse_settings(rollout, folder=Path("/rollout"))
    return configuration(settings, weights("blue", 0))


def document(watched: Watched, artifact: Path, release: str) -> dict[str, Any]:
    """`compose.yaml`. Only the proxy, Prometheus and Grafana can be reached, and only from this machine."""
    slow = f"{watched.limits.slo_ms:g}"
    services = {
        "proxy": _service(
            "proxy",
            user=_USER,
            command=["haproxy", "-W", "-db", "-f", "/rollout/haproxy/haproxy.cfg"],
            volumes=["./rollout/haproxy:/rollout/haproxy"],
            depends_on=["blue", "green"],
            ports=["127.0.0.1:8080:8080"],
            networks=["inside", "outside"],
        ),
        **{slot: _server(slot, slow, artifact, release) for slot in ("blue", "green")},
        "rollout": {
            **_hardened(),
            "image": f"${{PREFLIGHT_IMAGE:-{_OURS}:{release}}}",
            "user": _USER,
            "command": ["rollout", "run", "--config", "/rollout/rollout.toml", "--metrics", "0.0.0.0:9100"],
            "volumes": ["./rollout:/rollout"],
            "secrets": ["lease"],
            "networks": ["inside"],
        },
        "prometheus": _service(
            "prometheus",
            command=[
                "--config.file=/etc/preflight/prometheus.yml",
                "--storage.tsdb.path=/prometheus",
                "--storage.tsdb.retention.time=30d",
            ],
            volumes=[*(f"./{name}:/etc/preflight/{name}:ro" for name in ("prometheus.yml", "rules", "targets")),
                     "prometheus:/prometheus"],
            ports=["127.0.0.1:9090:9090"],
            networks=["inside", "outside"],
        ),
        "alertmanager": _service(
            "alertmanager",
            command=[
                "--config.file=/etc/preflight/alertmanager.yml",
                "--storage.path=/alertmanager",
                "--cluster.listen-address=",
            ],
            volumes=[
                "./alertmanager.yml:/etc/preflight/alertmanager.yml:ro",
                *(_mounted(path, path) for path in map(_escaped, _secret_files(watched.settings))),
                "alertmanager:/alertmanager",
            ],
            networks=["inside", "outside"],
        ),
        "grafana": _service(
            "grafana",
            volumes=[
                "./grafana/provisioning:/etc/grafana/provisioning:ro",
                "./grafana/dashboards:/etc/grafana/dashboards:ro",
                "grafana:/var/lib/grafana",
            ],
            ports=["127.0.0.1:3000:3000"],
            networks=["inside", "outside"],
        ),
    }  # fmt: skip
    return {
        "name": "preflight",
        "services": services,
        "networks": {"inside": {"internal": True}, "outside": {}},
        "volumes": {name: {} for name in ("prometheus", "alertmanager", "grafana")},
        "secrets": {"lease": {"file": "${LEASE_TOKEN_FILE:-./lease.token}"}},
    }


def _secret_files(settings: MonitorSettings) -> list[str]:
    """The files that Alertmanager reads secrets from."""
    webhooks = [one.token_file for one in (settings.webhook, settings.watchdog) if one is not None]
    mail = settings.email.password_file if settings.email is not None else None
    slack = settings.slack.url_file if settings.slack is not None else None
    return sorted({path for path in (*webhooks, mail, slack) if path is not None})


def _mounted(source: str, target: str) -> dict[str, Any]:
    return {"type": "bind", "source": source, "target": target, "read_only": True}


def _escaped(path: str) -> str:
    """What Compose takes for a variable is none here."""
    return path.replace("$", "$$")


def _server(slot: str, slow: str, artifact: Path, release: str) -> dict[str, Any]:
    """A slot. Both always serve: the free one stands by with weight 0, under a lease once it is a candidate."""
    folder = _escaped(str(artifact.resolve()))
    return {
        **_hardened(),
        "image": f"${{SERVE_IMAGE:-{_OURS}-serve:{release}}}",
        "command": ["/model", "--slo-ms", slow, "--lease-token-file", "/run/secrets/lease"],
        "volumes": [_mounted(f"${{{slot.upper()}_ARTIFACT:-{folder}}}", "/model")],
        "secrets": ["lease"],
        "networks": ["inside"],
    }


def _hardened() -> dict[str, Any]:
    return {
        "restart": "unless-stopped",
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 - in the container
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }


def _service(name: str, **more: Any) -> dict[str, Any]:
    return {**_hardened(), "image": _IMAGES[name], **more}
