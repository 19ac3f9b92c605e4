"""deploy/kubernetes against the schemas of Kubernetes; `make manifests` asks a real API server."""

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from streams.cli.parser import build
from streams.settings import Settings, variable
from twin import plant as plants

FOLDER = Path(__file__).parents[3] / "deploy" / "kubernetes"
# The oldest that is still supported somewhere, and the newest.
VERSIONS = ("1.31", "1.36")


def objects(name: str) -> list[Any]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def merged(base: Any, patch: Any) -> Any:
    """Strategic merge, as far as our patches need it: lists of named things by their name, others replaced."""
    if isinstance(base, dict) and isinstance(patch, dict):
        both = {**base, **{key: merged(base.get(key), value) for key, value in patch.items()}}
        return {key: value for key, value in both.items() if value is not None}
    if isinstance(base, list) and isinstance(patch, list):
        key = next((key for key in ("mountPath", "name") if all(key in one for one in base + patch)), None)
        if key is not None:
            named = {one[key]: one for one in base}
            named |= {one[key]: merged(named.get(one[key]), one) for one in patch}
            return [one for one in named.values() if one.get("$patch") != "delete"]
    return patch


def workers() -> dict[str, Any]:
    """The StatefulSet of each overlay."""
    (base,) = (one for one in objects("base/worker.yaml") if one["kind"] == "StatefulSet")
    (patch,) = (yaml.safe_load(one["patch"]) for one in objects("static/kustomization.yaml")[0]["patches"])
    found = {"keda": base, "static": merged(base, patch)}
    (stored,) = objects("objects/worker.yaml")
    return found | {f"{name}-objects": merged(one, stored) for name, one in found.items()}


def everything() -> list[Any]:
    files = objects("base/kustomization.yaml")[0]["resources"]
    assert {"worker.yaml", "topics.yaml", "storage.yaml", "network.yaml"} == set(files)
    replay = [one for name in ("job.yaml", "storage.yaml") for one in objects(f"replay/{name}")]
    stored = [stored_replay(), *objects("objects/network.yaml")]
    return [one for name in files for one in objects(f"base/{name}")] + [*workers().values(), *replay, *stored]


def stored_replay() -> Any:
    """The Job of `replay-objects`."""
    return merged(*objects("replay/job.yaml"), *objects("replay-objects/job.yaml"))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_one_of_kubernetes(version: str) -> None:
    for one in everything():
        kubernetes_validate.validate(one, version, strict=True)


def test_each_index_of_the_replay_is_a_share_of_it() -> None:
    assert plants.load(FOLDER / "replay" / "plant.toml").lines
    for job in (*objects("replay/job.yaml"), stored_replay()):
        shares_of(job)


def shares_of(job: Any) -> None:
    assert job["spec"]["completionMode"] == "Indexed"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    found = []
    for index in range(job["spec"]["completions"]):
        given = [one.replace("$(JOB_COMPLETION_INDEX)", str(index)) for one in container["args"]]
        found.append(build().parse_args(given).share)
    assert found == [(index, len(found)) for index in range(len(found))]


def test_a_broken_one_is_found() -> None:
    broken = copy.deepcopy(workers()["static"])
    broken["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


def test_membership_goes_with_the_way_of_scaling() -> None:
    """Static names for fixed replicas; with KEDA a worker that is scaled away must not keep its partitions waiting."""

    def names(worker: Any) -> set[str]:
        return {one["name"] for one in worker["spec"]["template"]["spec"]["containers"][0]["env"]}

    static, keda = workers()["static"], workers()["keda"]
    assert "TAKTWIN_INSTANCE" in names(static)
    assert static["spec"]["replicas"] == 2
    assert "TAKTWIN_INSTANCE" not in names(keda)
    assert "replicas" not in keda["spec"], "else each `apply` would undo the scaler's work"
    (scaled,) = objects("keda/scaled.yaml")
    literals = dict(text.split("=", 1) for text in _settings())
    assert scaled["spec"]["maxReplicaCount"] == int(literals["TAKTWIN_PARTITIONS"])
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["topic"] == f"{literals['TAKTWIN_PREFIX']}.events"
    assert trigger["metadata"]["consumerGroup"] == literals["TAKTWIN_PREFIX"]
    assert trigger["metadata"]["bootstrapServers"] == literals["TAKTWIN_BOOTSTRAP"]


@pytest.mark.parametrize("name", ["static", "keda"])
def test_in_object_storage_nothing_is_on_a_volume(name: str) -> None:
    (overlay,) = objects(f"{name}-objects/kustomization.yaml")
    assert (overlay["resources"], overlay["components"]) == ([f"../{name}"], ["../objects"])
    pods = workers()[f"{name}-objects"], stored_replay()
    for pod in (one["spec"]["template"]["spec"] for one in pods):
        assert not [one for one in pod["volumes"] if "persistentVolumeClaim" in one]
        (container,) = pod["containers"]
        mounted = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
        assert mounted.keys() == {one["name"] for one in pod["volumes"]}
        given = {one["name"]: one.get("value") for one in container["env"]}
        assert given["TMPDIR"] == mounted["data"]
        assert "TAKTWIN_AUDIT" not in given
        assert {"secretRef": {"name": "twin-objects", "optional": True}} in container["envFrom"]
    (policy,) = objects("objects/network.yaml")
    assert policy["spec"]["podSelector"] == objects("base/network.yaml")[0]["spec"]["podSelector"]
    assert policy["spec"]["egress"] == [{"ports": [{"port": 443, "protocol": "TCP"}]}]
    gone = {one["metadata"]["name"] for one in objects("objects/no-volume.yaml")}
    assert gone == {one["metadata"]["name"] for one in objects("base/storage.yaml")}
    gone = {one["metadata"]["name"] for one in objects("replay-objects/no-volumes.yaml")}
    assert gone == {one["metadata"]["name"] for one in objects("replay/storage.yaml")}


def test_the_list_of_the_workers_settings_is_repeated_whole() -> None:
    """Kustomize replaces `envFrom` as a whole."""
    base, stored = (
        one["spec"]["template"]["spec"]["containers"][0]["envFrom"]
        for one in (workers()["static"], workers()["static-objects"])
    )
    assert [one for one in stored if one in base] == base
    literals = dict(text.split("=", 1) for text in _settings("objects", "twin-objects"))
    settings = Settings.from_env({key: value for key, value in literals.items() if key.startswith("TAKTWIN_")})
    assert settings.audit == "s3://twin/audit"


def _settings(folder: str = "base", name: str = "twin-settings") -> list[str]:
    (generator,) = (
        one for one in objects(f"{folder}/kustomization.yaml")[0]["configMapGenerator"] if one["name"] == name
    )
    return list(generator["literals"])


def test_settings_plant_and_times_are_right() -> None:
    Settings.from_env(dict(text.split("=", 1) for text in _settings()))
    assert plants.load(FOLDER / "base" / "plant.toml").lines
    pod = workers()["static"]["spec"]["template"]["spec"]
    given = {one["name"]: one.get("value", "x") for one in pod["containers"][0]["env"]}
    settings = Settings.from_env(given)
    assert pod["terminationGracePeriodSeconds"] > settings.stop_limit_s
    assert pod["containers"][0]["ports"][0]["containerPort"] == settings.health_port
    assert all(name.startswith("TAKTWIN_") and hasattr(settings, name[8:].lower()) for name in given)
    assert variable("bootstrap") == "TAKTWIN_BOOTSTRAP"
