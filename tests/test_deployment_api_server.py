"""The manifests on a real API server: applied, changed and applied again.

This runs where HOROSCOPE_TEST_APISERVER names a kube-apiserver (tests/kubernetes/build_apiserver.sh
makes one) and etcd is installed.
"""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from ssl import _create_unverified_context

import pytest
import yaml
from kafka_server import free_port
from kubernetes_tools import keda_definitions, kubectl

KUBE = Path(__file__).parent.parent / "kube"
APISERVER = os.environ.get("HOROSCOPE_TEST_APISERVER", "")
STRIMZI = {
    "Kafka": "kafkas",
    "KafkaNodePool": "kafkanodepools",
    "KafkaTopic": "kafkatopics",
    "KafkaUser": "kafkausers",
}

pytestmark = pytest.mark.skipif(not APISERVER, reason="HOROSCOPE_TEST_APISERVER is not set")


class Cluster:
    """An API server and its etcd, without nodes and controllers."""

    def __init__(self, directory: Path) -> None:
        client, peer, port = free_port(), free_port(), free_port()
        self._url = f"https://127.0.0.1:{port}"
        key, tokens = directory / "key.pem", directory / "tokens.csv"
        subprocess.run(["openssl", "genrsa", "-out", key], check=True, capture_output=True)
        tokens.write_text("secret,admin,admin,system:masters\n")
        etcd, peers = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
        commands = [
            [
                *("etcd", f"--data-dir={directory}/etcd"),
                *(f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}"),
                *(f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}"),
                f"--initial-cluster=default={peers}",
            ],
            [
                *(APISERVER, f"--etcd-servers={etcd}", f"--cert-dir={directory}/certificates"),
                *("--bind-address=127.0.0.1", f"--secure-port={port}"),
                *("--service-account-issuer=https://localhost", "--authorization-mode=RBAC"),
                *(f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}"),
                *(f"--token-auth-file={tokens}", "--service-cluster-ip-range=10.0.0.0/24"),
            ],
        ]
        with (directory / "log").open("wb") as log:
            self._processes = [
                subprocess.Popen(command, stdout=log, stderr=log) for command in commands
            ]
        self._config = directory / "config"
        self._config.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [
                        {
                            "name": "test",
                            "cluster": {"server": self._url, "insecure-skip-tls-verify": True},
                        }
                    ],
                    "users": [{"name": "admin", "user": {"token": "secret"}}],
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
                    "current-context": "test",
                }
            )
        )

    def wait(self) -> None:
        """Wait until it is ready."""
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(
                    f"{self._url}/readyz", context=_create_unverified_context()
                ).close()
                return
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.2)

    def kubectl(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run kubectl; fails if it warns of anything, too."""
        done = subprocess.run(
            [kubectl(), f"--kubeconfig={self._config}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr, done.stderr
        return done.stdout

    def stop(self) -> None:
        """End both."""
        for process in reversed(self._processes):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.wait()
        for definition in keda_definitions():
            cluster.kubectl("apply", "--server-side", "--filename", definition)
        definitions = [strimzi_definition(kind, plural) for kind, plural in STRIMZI.items()]
        cluster.kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(definitions))
        cluster.kubectl(
            *("wait", "customresourcedefinitions", "--all", "--for=condition=Established")
        )
        yield cluster
    finally:
        cluster.stop()


def strimzi_definition(kind: str, plural: str) -> dict[str, object]:
    """A definition that takes everything; what is in it is checked against Strimzi's classes."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.kafka.strimzi.io"},
        "spec": {
            "group": "kafka.strimzi.io",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


@pytest.mark.parametrize("overlay", ["single", "cluster"])
def test_an_overlay_is_taken_whole_and_again_without_a_change(
    cluster: Cluster, overlay: str
) -> None:
    directory = str(KUBE / "overlays" / overlay)
    first = cluster.kubectl("apply", "-k", directory)
    assert "deployment.apps/bot" in first
    cluster.kubectl("apply", "-k", directory)
    assert cluster.kubectl("diff", "-k", directory) == ""
    for how in ([], ["--dry-run=server"]):
        cluster.kubectl("apply", "--server-side", "--force-conflicts", *how, "-k", directory)


def test_a_pod_of_each_program_is_let_in_by_the_restrictions_of_the_namespace(
    cluster: Cluster,
) -> None:
    """Pods themselves, which controllers would make, are judged when they come."""
    cluster.kubectl("apply", "-k", str(KUBE / "overlays" / "single"))
    rendered = cluster.kubectl("kustomize", str(KUBE / "overlays" / "single"))
    cluster.kubectl(
        *("create", "serviceaccount", "default", "--namespace=horoscope"),
    )
    judged = 0
    for manifest in yaml.safe_load_all(rendered):
        if manifest["kind"] in {"Deployment", "StatefulSet"}:
            template = manifest["spec"]["template"]
            name = manifest["metadata"]["name"]
            claims = manifest["spec"].get("volumeClaimTemplates", [])
            volumes = template["spec"].setdefault("volumes", [])
            volumes += [{"name": claim["metadata"]["name"], "emptyDir": {}} for claim in claims]
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": "horoscope"} | template["metadata"],
                "spec": template["spec"],
            }
            cluster.kubectl("apply", "--filename=-", stdin=yaml.safe_dump(pod))
            judged += 1
    assert judged == 3
