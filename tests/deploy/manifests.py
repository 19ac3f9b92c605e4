"""`make manifests`: does a real Kubernetes API take deploy/kubernetes, and refuse what is broken?

etcd and kube-apiserver on loopback, without a node: objects are checked for real (schema, defaults, PodSecurity
"restricted", KEDA's own resource definition), but nothing runs. Needs Go and the module proxy the first time.

    python -m tests.deploy.manifests
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from streams.local.broker import free_port

ROOT: Final = Path(__file__).parents[2]
TOOLS: Final = ROOT / ".cache" / "tools"
KEDA: Final = "github.com/kedacore/keda/v2@v2.21.0"
OVERLAYS: Final = ("static", "keda", "replay", "static-objects", "keda-objects", "replay-objects")
RESTRICTED: Final = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
_LIMIT_S: Final = 90.0


class Api:
    """kubectl against the server under test."""

    def __init__(self, folder: Path, port: int) -> None:
        self._config = folder / "kubeconfig"
        self._config.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [
                        {
                            "name": "t",
                            "cluster": {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True},
                        }
                    ],
                    "users": [{"name": "t", "user": {"token": "test-token"}}],
                    "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t", "namespace": "twin"}}],
                    "current-context": "t",
                }
            )
        )

    def __call__(self, *command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [TOOLS / "kubectl", "--kubeconfig", self._config, *command],
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    def takes(self, documents: list[Any], *more: str) -> str:
        """What it says to objects it must take. Raises AssertionError where it refuses or warns."""
        ran = self("apply", *more, "--filename", "-", given=yaml.safe_dump_all(documents))
        assert ran.returncode == 0, ran.stderr
        assert "Warning" not in ran.stderr, ran.stderr
        return ran.stdout.strip()

    def refuses(self, document: Any) -> str:
        ran = self("apply", "--dry-run=server", "--filename", "-", given=yaml.safe_dump(document))
        assert ran.returncode != 0, f"taken: {document}"
        return ran.stderr.strip().splitlines()[-1]


@contextlib.contextmanager
def server() -> Iterator[Api]:
    """A kube-apiserver with its etcd; both end with the context, the server first: it waits long for a lost etcd."""
    client, peer, port = free_port(), free_port(), free_port()
    url = f"http://127.0.0.1:{client}"
    with tempfile.TemporaryDirectory(prefix="taktwin-manifests-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        subprocess.run(["openssl", "genrsa", "-out", folder / "sa.key", "2048"], check=True, capture_output=True)
        (folder / "tokens").write_text("test-token,admin,1,system:masters\n")
        etcd = [
            *("--data-dir", folder / "etcd", "--unsafe-no-fsync"),
            *("--listen-client-urls", url, "--advertise-client-urls", url),
            *("--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls"),
            *(f"http://127.0.0.1:{peer}", "--initial-cluster", f"default=http://127.0.0.1:{peer}"),
        ]
        apiserver = [
            *("--etcd-servers", url, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"),
            *(f"--secure-port={port}", f"--cert-dir={folder / 'certs'}", "--service-cluster-ip-range=10.0.0.0/24"),
            *("--service-account-issuer=https://test", f"--service-account-key-file={folder / 'sa.key'}"),
            *(f"--service-account-signing-key-file={folder / 'sa.key'}", f"--token-auth-file={folder / 'tokens'}"),
            *("--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount"),
            "--endpoint-reconciler-type=none",
        ]
        _start(stack, folder, "etcd", etcd)
        process = _start(stack, folder, "kube-apiserver", apiserver)
        api = Api(folder, port)
        end = time.monotonic() + _LIMIT_S
        while api("get", "--raw", "/readyz").returncode:
            assert process.poll() is None and time.monotonic() < end, (folder / "kube-apiserver.log").read_text()[
                -2000:
            ]
            time.sleep(0.3)
        yield api


def _start(stack: contextlib.ExitStack, folder: Path, name: str, arguments: list[Any]) -> "subprocess.Popen[bytes]":
    log = stack.enter_context((folder / f"{name}.log").open("wb"))
    process = subprocess.Popen([TOOLS / name, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    stack.callback(_end, process)
    return process


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def built(overlay: str) -> list[Any]:
    """The objects of an overlay, as `kubectl apply --kustomize` would send them."""
    folder = ROOT / "deploy" / "kubernetes" / overlay
    ran = subprocess.run([TOOLS / "kubectl", "kustomize", folder], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(ran.stdout))


def keda_definitions() -> list[Any]:
    ran = subprocess.run(["go", "mod", "download", "-json", KEDA], capture_output=True, text=True, check=True, cwd="/")
    folder = Path(json.loads(ran.stdout)["Dir"]) / "config" / "crd" / "bases"
    return [yaml.safe_load((folder / "keda.sh_scaledobjects.yaml").read_text())]


def one(documents: list[Any], kind: str) -> Any:
    (found,) = [json.loads(json.dumps(d)) for d in documents if d["kind"] == kind]
    return found


def pod_of(workload: Any) -> Any:
    """Its template as a Pod: PodSecurity refuses Pods, not what makes them, and nothing makes any here."""
    template = workload["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "try", **template["metadata"]},
        "spec": template["spec"],
    }


def check(api: Api) -> None:
    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")

    api.takes([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "twin", "labels": RESTRICTED}}])
    ran = api("create", "--filename", "-", given=yaml.safe_dump_all(keda_definitions()))
    assert ran.returncode == 0, ran.stderr
    ran = api("wait", "--for=condition=Established", "crd/scaledobjects.keda.sh", "--timeout=30s")
    assert ran.returncode == 0, ran.stderr
    for overlay in OVERLAYS:
        documents = built(overlay)
        say(f"{overlay}:\n{api.takes(documents, '--dry-run=server')}")
        for kind in sorted({"StatefulSet", "Job"}.intersection(document["kind"] for document in documents)):
            pod = pod_of(one(documents, kind))
            if kind == "Job":
                pod["spec"]["restartPolicy"] = "OnFailure"
            say(f"as a Pod under PodSecurity restricted: {api.takes([pod], '--dry-run=server')}")
    documents = built("static")
    for what, broken in _broken(documents, built("keda")):
        say(f"refused, {what}: {api.refuses(broken)[:160]}")


def _broken(documents: list[Any], scaled: list[Any]) -> Iterator[tuple[str, Any]]:
    pod = pod_of(one(documents, "StatefulSet"))
    pod["spec"]["securityContext"]["runAsNonRoot"] = False
    yield "a pod that may be root", pod
    pod = pod_of(one(documents, "StatefulSet"))
    del pod["spec"]["containers"][0]["securityContext"]["capabilities"]
    yield "a pod that keeps its capabilities", pod
    workload = one(documents, "StatefulSet")
    workload["spec"]["replicas"] = "two"
    yield "replicas that are no number", workload
    workload = one(documents, "StatefulSet")
    workload["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    yield "a misspelt key", workload
    workload = one(documents, "StatefulSet")
    workload["spec"]["selector"]["matchLabels"] = {"a": "b"}
    yield "a selector that selects nothing", workload
    scaling = one(scaled, "ScaledObject")
    del scaling["spec"]["scaleTargetRef"]
    yield "scaling of nothing", scaling
    scaling = one(scaled, "ScaledObject")
    scaling["spec"]["maxReplicaCount"] = "many"
    yield "scaling to no number", scaling


def main() -> int:
    tools = ("kubectl", "kube-apiserver", "etcd")
    subprocess.run([ROOT / "tests" / "deploy" / "go-tool.sh", *tools], check=True, env=os.environ)
    with server() as api:
        check(api)
    return 0


if __name__ == "__main__":
    sys.exit(main())
