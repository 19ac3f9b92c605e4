"""docker-compose.yml and the Dockerfile, as far as no engine is needed: `make image` runs them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams import exits
from streams.cli.parser import build
from streams.settings import Settings, unknown_variables

ROOT = Path(__file__).parents[3]


def filled(text: str, **given: str) -> str:
    """As compose fills in variables: given, else the default."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda m: given.get(m[1], m[2]), text)


@pytest.fixture
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(filled((ROOT / "docker-compose.yml").read_text()))["services"]
    return found


def test_nothing_is_open_but_on_this_machine(services: dict[str, Any]) -> None:
    ports = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert ports == {"grafana": ["127.0.0.1:3000:3000"], "page": ["127.0.0.1:8088:8088"]}
    assert services["page"]["volumes"] == ["audit:/data:ro"]


@pytest.mark.parametrize("name", ["topics", "worker", "feeder", "page"])
def test_ours_run_with_nothing_they_do_not_need(services: dict[str, Any], name: str) -> None:
    one = services[name]
    assert one["user"] == "10001:10001"
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    environment = {key: str(value) for key, value in one["environment"].items()}
    settings = Settings.from_env(environment)
    assert unknown_variables(environment) == []
    assert callable(build().parse_args(one["command"]).run)
    plant = ROOT / "examples" / Path(settings.plant).relative_to("/plant")
    assert plant.exists()
    logs = [text for text in one["command"] if text.startswith("/plant/")]
    assert all((ROOT / "examples" / Path(log).relative_to("/plant")).exists() for log in logs)


def test_what_ends_by_itself_is_waited_for(services: dict[str, Any]) -> None:
    """Else `up --wait` fails where it ends before the others are healthy (docker/compose#10596)."""
    once = {name for name, one in services.items() if str(one.get("restart", "")).startswith("on-failure")}
    awaited = {
        name
        for one in services.values()
        for name, how in one.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert once == awaited == {"topics", "feeder"}


def test_what_waits_for_what_is_there_and_stops_have_time(services: dict[str, Any]) -> None:
    for one in services.values():
        assert one.get("depends_on", {}).keys() <= services.keys()
        for volume in one.get("volumes", ()):
            if isinstance(volume, dict):
                assert volume["read_only"] is True
                assert (ROOT / volume["source"]).exists()
    grace = int(services["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings().stop_limit_s


def test_the_image_copies_only_what_the_context_holds() -> None:
    held = {text.removeprefix("!") for text in (ROOT / ".dockerignore").read_text().splitlines() if text[:1] == "!"}
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists()
            assert source.split("/")[0] in held
    assert "# syntax" not in dockerfile
    # Kernels do not depend on what changes often: the mount keeps them, and the environment is the same in both stages.
    assert len(re.findall(r"NUMBA_CPU_NAME=\$\{CPU\}", dockerfile)) == 2
    assert dockerfile.index("RUN --mount=type=cache,target=/kernels") < dockerfile.index("FROM ${BASE}\nRUN groupadd")


def test_up_alone_brings_the_page_and_its_health_is_asked(services: dict[str, Any]) -> None:
    assert {name for name, one in services.items() if "profiles" in one} == {"prometheus", "grafana"}
    kind, command, *arguments = services["page"]["healthcheck"]["test"]
    assert (kind, command) == ("CMD", "twin")
    asked = build().parse_args(arguments)
    assert asked.alive
    assert asked.port == build().parse_args(services["page"]["command"]).port


def test_in_object_storage_nothing_is_in_the_volume_of_the_audit(services: dict[str, Any]) -> None:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))
    text = filled((ROOT / "deploy" / "compose.objects.yml").read_text())
    stored = yaml.load(text, Loader)  # noqa: S506  a safe one
    for name in ("worker", "page"):
        own = stored["services"][name]["environment"]
        required = {key: value for key, value in own.items() if str(value).startswith("${")}
        assert set(required) == {"TAKTWIN_AUDIT", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
        assert all(re.fullmatch(rf"\$\{{{key}:\?[^}}]*\}}", value) for key, value in required.items())
        assert own["AWS_ENDPOINT_URL"] is None  # as it is where compose runs, if it is
        both = services[name]["environment"] | own | {"TAKTWIN_AUDIT": "s3://plant/audit"}
        given = {key: str(value) for key, value in both.items() if key.startswith("TAKTWIN_")}
        assert unknown_variables(given) == []
        Settings.from_env(given)
    assert stored["services"]["page"]["volumes"] == [f"{name}:/data" for name in stored["volumes"]]


def test_the_unit_starts_again_whatever_may_mend_itself() -> None:
    unit = (ROOT / "deploy" / "taktwin-worker@.service").read_text().replace("%l", "host").replace("%i", "1")
    assert "\nStartLimitIntervalSec=0\n" in unit  # else it would stay down where Kafka is away for longer
    assert re.findall(r"^RestartPreventExitStatus=(.*)$", unit, re.MULTILINE) == [str(exits.USAGE)]
    own = dict(re.findall(r"(TAKTWIN_\w+)=(\S+)", "\n".join(re.findall(r"^Environment=(.*)$", unit, re.MULTILINE))))
    assert unknown_variables(own) == []
    Settings.from_env(own)
    seconds = int(re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[0])
    assert seconds > Settings().stop_limit_s
