"""`rollout.toml`, HAProxy's words, the plan, and what servers say of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.rollout.simulation import BASE, SETTINGS
from validator.errors import SettingsError
from validator.rollout.plan import planned_requests, requests_needed
from validator.rollout.schedule import Schedule, Traffic, as_lines, duration, schedule
from validator.rollout.settings import read_judge_settings, read_proxy_settings
from validator.rollout.slots import identities
from validator.rollout.stages import weights
from validator.rollout.traffic.haproxy_config import configuration, serialize

WHOLE = """
model = "trading"
directory = "state"
prometheus = "http://prometheus:9090"
slo_ms = 50
[slots.blue]
address = "blue:8080"
url = "http://blue:8080"
token_file = "token"
[slots.green]
address = "green:8080"
url = "http://green:8080"
[haproxy]
config = "haproxy.cfg"
socket = "/run/h.sock"
bind = ":8080"
metrics_bind = ":8404"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "rollout.toml"
    path.write_text(text)
    return path


def test_paths_are_from_the_files_folder(tmp_path: Path) -> None:
    found = read_proxy_settings(written(tmp_path, WHOLE))
    assert found.directory == tmp_path / "state"
    assert found.haproxy.config == tmp_path / "haproxy.cfg"
    assert found.haproxy.socket == Path("/run/h.sock")
    assert found.slots["blue"].token_file == tmp_path / "token"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('model = "trading"', 'model = "Trading"'), "model: a name is"),
        (('model = "trading"', 'model = "a\\"} or vector(1) #"'), "model: a name is"),
        (
            ('"blue:8080"\nurl', '"blue:8080 check\\nserver evil 1.2.3.4:1"\nurl'),
            "slots.blue.address: host:port",
        ),
        (('"blue:8080"\nurl', '"green:8080"\nurl'), "both have the same address"),
        (("slo_ms = 50", ""), "slo_ms: Field required"),
        (("slo_ms = 50", "slo_ms = 50\nslo = 1"), "slo: Extra inputs"),
        (("slo_ms = 50", "slo_ms = nan"), "slo_ms"),
        (("slo_ms = 50", "slo_ms = 50\nguards = [25, 5]"), "each stage must take more"),
        (("slo_ms = 50", "slo_ms = 50\nlease_s = 5"), "at least three times interval_s"),
        (("slo_ms = 50", "slo_ms = "), "no TOML"),
        (("http://prometheus:9090", "http://user:word@prometheus"), "no user and password"),
        (("http://prometheus:9090", "file:///etc/passwd"), "an address such as"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    assert change[0] in WHOLE
    with pytest.raises(SettingsError, match=told):
        read_proxy_settings(written(tmp_path, WHOLE.replace(*change)))


def test_a_judge_alone_needs_neither_slots_nor_proxy(tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE.partition("[slots.blue]")[0])
    assert read_judge_settings(path).model == "trading"
    with pytest.raises(SettingsError, match="slots"):
        read_proxy_settings(path)


@settings(max_examples=200)
@given(st.text(min_size=1, max_size=20))
def test_no_word_of_haproxys_file_is_anything_but_itself(text: str) -> None:
    try:
        lines = serialize([(["backend", "b"], [["server", "s", text]])]).splitlines()
    except SettingsError:
        return
    assert lines[-1].split() == ["server", "s", text]
    assert not set(text) & set("\"'\\$#\n\t ")


def test_the_file_says_what_was_decided() -> None:
    lines = [line.split() for line in configuration(SETTINGS, weights("blue", 25)).splitlines()]
    servers = {line[1]: line for line in lines if line[:1] == ["server"]}
    assert [servers[slot][servers[slot].index("weight") + 1] for slot in ("blue", "green")] == ["75", "25"]
    assert servers["rescue-blue"][3:6] == ["backup", "track", "model/blue"]
    assert "disabled" not in servers["rescue-blue"]
    assert servers["rescue-green"][-1] == "disabled"
    assert ["retry-on", "conn-failure"] in lines
    assert all("shutdown-sessions" in servers[slot] for slot in ("blue", "green"))
    assert ["http-check", "expect", "status", "200", "error-status", "L7OKC"] in lines
    assert ["parse-resolv-conf"] not in lines
    # Containers: asked for by name all the time, in whichever role.
    named = SETTINGS.model_copy(update={"haproxy": SETTINGS.haproxy.model_copy(update={"resolve": True})})
    lines = [line.split() for line in configuration(named, weights("blue", 25)).splitlines()]
    assert ["parse-resolv-conf"] in lines
    assert (
        sum(line[:1] == ["server"] and {"last,libc,none", "allow-dup-ip"} <= set(line) for line in lines) == 4
    )


@pytest.mark.parametrize(("share", "expected"), [(1e-6, 1314), (0.0005, 2478), (0.005, 15_070)])
def test_what_a_stage_needs(share: float, expected: int) -> None:
    assert requests_needed(share, 0.0025, 0.5) == pytest.approx(expected, rel=0.06)


@given(st.floats(0.0001, 0.2), st.floats(0.001, 0.05))
def test_narrower_margins_and_smaller_shares_need_more(share: float, margin: float) -> None:
    assert requests_needed(share, margin / 2, 0.5) >= requests_needed(share, margin, 0.5)
    assert planned_requests([(share, margin)], 0.5) >= requests_needed(share, margin, 0.5)


def test_a_plan_tells_time_and_refuses_what_cannot_end() -> None:
    plan = schedule(SETTINGS, Traffic(per_second=20, shares=BASE))
    assert not plan.refusal
    assert [stage.stage for stage in plan.stages] == ["guard-5", "guard-25", "confirm-50", "full"]
    assert plan.stages[2].seconds == pytest.approx(plan.stages[2].requests / 10)
    assert "requests a second today" in as_lines(plan)[0]
    slow = schedule(SETTINGS, Traffic(per_second=0.2, shares=BASE))
    assert "longer than the deadline" in slow.refusal
    assert "deadline_hours" in slow.advice


def test_low_traffic_is_offered_the_shadow() -> None:
    short = SETTINGS.model_copy(update={"deadline_hours": 12.0, "guard_requests": 3000})
    plan = schedule(short, Traffic(per_second=2, shares=BASE))
    assert plan.refusal
    assert "shadow = true" in plan.advice


def test_durations_are_for_people() -> None:
    assert [duration(s) for s in (45, 720, 12_240, 181_440)] == ["45 s", "12 min", "3.4 h", "2.1 days"]


def test_what_a_server_says_of_itself() -> None:
    text = (
        "# TYPE preflight_model_info gauge\n"
        'preflight_model_info{digest="sha256:1",model="m",override="a \\"b\\" \\\\ c\\nd",'
        'verdict="pass",version="v1"} 1.0\n'
        'preflight_model_info_other{model="x"} 1\n'
        'preflight_model_info{model="gone",version="v0"} 0\n'
    )
    (found,) = identities(text)
    assert (found.model, found.version, found.digest, found.verdict) == ("m", "v1", "sha256:1", "pass")
    assert found.override == 'a "b" \\ c\nd'


def plan_at(per_second: float, interval_s: float, **changes: object) -> Schedule:
    return schedule(
        SETTINGS.model_copy(update=changes),
        Traffic(per_second=per_second, shares=BASE, interval_s=interval_s),
    )


def test_a_plan_says_when_harm_is_seen() -> None:
    guard = plan_at(20, 15).stages[0]
    gross, fine = guard.harm[0.3], guard.harm[0.05]
    assert gross is not None
    assert fine is not None
    assert gross.seconds <= 60
    assert gross.requests <= 100
    assert 5 * 60 < fine.seconds < 8 * 60, "five windows, and a scrape after them"
    assert "30% after" in "\n".join(as_lines(plan_at(20, 15)))
    assert plan_at(0.2, 15).stages[0].harm[0.05] is None, "not while the stage lasts"


def test_rare_scrapes_make_windows_longer_and_are_told() -> None:
    often, rarely = plan_at(20, 15), plan_at(20, 60)
    assert (often.window_s, often.warnings) == (60, ())
    assert rarely.window_s == 120
    assert not rarely.refusal
    assert any("windows of 2 min instead of 60 s" in told for told in rarely.warnings)
    assert any("guard-25 30% failures meet about 325 requests" in told for told in rarely.warnings)
    for quick, slow in zip(often.stages, rarely.stages, strict=True):
        assert slow.harm[0.05].seconds > quick.harm[0.05].seconds  # type: ignore[union-attr]


def test_scrapes_too_rare_to_see_anything_in_time_are_refused() -> None:
    plan = plan_at(20, 300)
    assert "longer than its lease" in plan.refusal
    assert "scrape_interval" in plan.advice
    assert not plan_at(20, 300, lease_s=900.0).refusal


def test_scrapes_rarer_than_was_said_are_refused() -> None:
    assert "every 60 s, not every 15 s as scrape_s says" in plan_at(20, 60, scrape_s=15.0).refusal
    assert not plan_at(20, 15, scrape_s=15.0).refusal


def test_traffic_that_never_comes_is_planned_in_no_time() -> None:
    assert "longer than the deadline" in plan_at(1e-7, 15, window_s=1.0).refusal
