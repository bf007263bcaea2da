"""The Kubernetes manifests: they render, every schema agrees, and they fit the programs."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from kubernetes_tools import keda_definitions, render, strimzi_schemas

from horoscope.messaging.kafka import topics
from horoscope.settings import Settings

ROOT = Path(__file__).parent.parent
OVERLAYS = ["single", "cluster"]
# The newest of which there are schemas, and the oldest that docs/operations.md says will do.
KUBERNETES = ["1.30", "1.37"]

rendered = cache(lambda overlay: render(ROOT / "kube" / "overlays" / overlay))


def of_kind(overlay: str, *kinds: str) -> list[dict[str, Any]]:
    return [manifest for manifest in rendered(overlay) if manifest["kind"] in kinds]


def named(overlay: str, kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in of_kind(overlay, kind) if each["metadata"]["name"] == name]
    return found


def container_of(overlay: str, kind: str, name: str) -> dict[str, Any]:
    (container,) = named(overlay, kind, name)["spec"]["template"]["spec"]["containers"]
    return container


def environment_of(overlay: str, kind: str, name: str) -> dict[str, Any]:
    """What a container is told: the values by name, a reference as it stands."""
    container = container_of(overlay, kind, name)
    environment: dict[str, Any] = {}
    for source in container.get("envFrom", []):
        wanted = source["configMapRef"]["name"]
        environment |= named(overlay, "ConfigMap", wanted)["data"]
    named_ones = container.get("env", [])
    return environment | {each["name"]: each.get("value", each) for each in named_ones}


@cache
def keda_schemas() -> dict[str, Any]:
    schemas = {}
    for path in keda_definitions():
        definition = yaml.safe_load(path.read_bytes())["spec"]
        (version,) = definition["versions"]
        schema = version["schema"]["openAPIV3Schema"]
        forbid_the_unknown(schema)
        schemas[definition["names"]["kind"]] = schema
    return schemas


def forbid_the_unknown(schema: Any) -> None:
    """Have a schema refuse properties that it does not name, as the API server warns of them."""
    if isinstance(schema, dict):
        if "properties" in schema and schema["properties"].keys() != {"metadata"}:
            schema.setdefault("additionalProperties", False)
        if schema.get("x-kubernetes-int-or-string"):
            schema.pop("type", None)
        for part in schema.values():
            forbid_the_unknown(part)
    elif isinstance(schema, list):
        for part in schema:
            forbid_the_unknown(part)


def complaints(schema: Any, manifest: dict[str, Any]) -> list[str]:
    errors = jsonschema.Draft202012Validator(schema).iter_errors(manifest)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("version", KUBERNETES)
def test_all_that_kubernetes_itself_reads_keeps_its_schema_strictly(
    overlay: str, version: str
) -> None:
    checked = 0
    for manifest in rendered(overlay):
        if ".strimzi.io" not in manifest["apiVersion"] and "keda.sh" not in manifest["apiVersion"]:
            kubernetes_validate.validate(manifest, version, strict=True)
            checked += 1
    assert checked >= 15


@pytest.mark.parametrize("kind", ["Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser"])
def test_all_that_strimzi_reads_fits_the_operators_own_classes(kind: str) -> None:
    manifests = of_kind("cluster", kind)
    assert manifests
    for manifest in manifests:
        assert manifest["apiVersion"] == "kafka.strimzi.io/v1"
        assert complaints(strimzi_schemas()[kind], manifest) == []


@pytest.mark.parametrize("kind", ["ScaledObject", "TriggerAuthentication"])
def test_all_that_keda_reads_keeps_the_schema_of_its_definition(kind: str) -> None:
    manifests = of_kind("cluster", kind)
    assert manifests
    for manifest in manifests:
        assert complaints(keda_schemas()[kind], manifest) == []


def test_the_schemas_find_what_is_misspelt_deep_inside() -> None:
    (kafka,) = of_kind("cluster", "Kafka")
    listener = kafka["spec"]["kafka"]["listeners"][0]
    for change in ({"tsl": True}, {"type": "internl"}, {"port": "https"}):
        wrong = {**kafka, "spec": {"kafka": {"listeners": [listener | change]}}}
        assert complaints(strimzi_schemas()["Kafka"], wrong)
    (scaled,) = of_kind("cluster", "ScaledObject")
    wrong = {**scaled, "spec": scaled["spec"] | {"minReplicas": 2}}
    assert complaints(keda_schemas()["ScaledObject"], wrong)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_setting_that_a_manifest_names_is_one_and_can_have_that_value(
    overlay: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("bot", "generator"):
        environment = environment_of(overlay, "Deployment", program)
        ours = {name: value for name, value in environment.items() if name.startswith("HOROSCOPE")}
        known = {f"HOROSCOPE_{name.upper()}" for name in Settings.model_fields}
        assert ours.keys() <= known
        for name, value in ours.items():
            monkeypatch.setenv(name, value if isinstance(value, str) else "a secret")
        settings = Settings(_env_file=None)  # type: ignore[call-arg]
        assert settings.kafka_bootstrap_servers
        for name in ours:
            monkeypatch.delenv(name)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_that_is_named_is_there(overlay: str) -> None:
    """Secrets, settings, claims and services that something refers to."""
    text = yaml.safe_dump_all(rendered(overlay))
    there = {(each["kind"], each["metadata"]["name"]) for each in rendered(overlay)}
    # The Strimzi operator makes a Secret for each user, and one with its certificates.
    there |= {("Secret", name) for kind, name in there if kind == "KafkaUser"}
    there |= {("Secret", f"{name}-cluster-ca-cert") for kind, name in there if kind == "Kafka"}
    for key, kind in (("secretKeyRef", "Secret"), ("configMapRef", "ConfigMap")):
        names = re.findall(rf"{key}:\n(?:\s+key: .*\n)?\s+name: (\S+)", text)
        assert names
        assert {(kind, name) for name in names} <= there
    for name in re.findall(r"(?:secretName|claimName): (\S+)", text):
        assert {("Secret", name), ("PersistentVolumeClaim", name)} & there or name == "bot-tls"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_as_restricted_as_the_namespace_demands(overlay: str) -> None:
    (namespace,) = of_kind(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for workload in of_kind(overlay, "Deployment", "StatefulSet"):
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert {"requests", "limits"} <= container["resources"].keys()
            assert "readinessProbe" in container
            assert ":" in container["image"]
            assert not container["image"].endswith(":latest")
        if workload["metadata"]["name"] in {"bot", "generator"}:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert {"startupProbe", "livenessProbe"} <= container.keys()


def test_the_pods_that_strimzi_makes_are_as_restricted() -> None:
    (pool,) = of_kind("cluster", "KafkaNodePool")
    (kafka,) = of_kind("cluster", "Kafka")
    for template in (pool["spec"]["template"], kafka["spec"]["entityOperator"]["template"]):
        pod = template["pod"]["securityContext"]
        assert pod["runAsNonRoot"] is True
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        containers = [template[name] for name in template if name.endswith("Container")]
        assert containers
        for container in containers:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_address_is_to_be_looked_up_and_no_zookeeper_is_needed(overlay: str) -> None:
    text = yaml.safe_dump_all(rendered(overlay))
    assert "NodePort" not in text
    assert "zookeeper" not in text.lower()
    addresses = set(re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text))
    assert addresses <= {"0.0.0.0", "127.0.0.1"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_network_policies_let_through_what_the_settings_need(overlay: str) -> None:
    """Each program may reach the port of Kafka that it is told of, and Kafka's pods are named."""
    policy = named(overlay, "NetworkPolicy", "to-kafka")["spec"]
    (rule,) = policy["egress"]
    settings = environment_of(overlay, "Deployment", "bot")
    host, port = settings["HOROSCOPE_KAFKA_BOOTSTRAP_SERVERS"].split(":")
    assert [each["port"] for each in rule["ports"]] == [int(port)]
    (peer,) = rule["to"]
    labels = peer["podSelector"]["matchLabels"]
    if overlay == "single":
        assert named(overlay, "Service", host)["spec"]["selector"] == labels
    else:
        (kafka,) = of_kind(overlay, "Kafka")
        assert host == f"{kafka['metadata']['name']}-kafka-bootstrap"
        assert labels == {"strimzi.io/cluster": kafka["metadata"]["name"]}
        assert [each["port"] for each in kafka["spec"]["kafka"]["listeners"]] == [int(port)]


def test_the_domain_is_in_one_line_and_the_ingress_takes_it_from_there() -> None:
    ingress = named("cluster", "Ingress", "bot")["spec"]
    url = environment_of("cluster", "Deployment", "bot")["HOROSCOPE_WEBHOOK_URL"]
    domain = url.split("/")[2]
    assert [rule["host"] for rule in ingress["rules"]] == [domain]
    assert ingress["tls"][0]["hosts"] == [domain]
    lines = [
        line
        for path in (ROOT / "kube").rglob("*")
        if path.is_file()
        for line in path.read_text().splitlines()
        if domain in line
    ]
    assert len(lines) == 1


def test_one_bot_asks_telegram_and_several_are_called() -> None:
    """Two programs that poll with one token disturb each other, even during an upgrade."""
    single, cluster = (named(overlay, "Deployment", "bot")["spec"] for overlay in OVERLAYS)
    assert (single["replicas"], single["strategy"]) == (1, {"type": "Recreate"})
    assert environment_of("single", "Deployment", "bot").get("HOROSCOPE_UPDATES") is None
    assert cluster["replicas"] > 1
    assert cluster["strategy"]["type"] == "RollingUpdate"
    environment = environment_of("cluster", "Deployment", "bot")
    assert environment["HOROSCOPE_UPDATES"] == "webhook"
    assert "HOROSCOPE_DATABASE_URL" in environment


def test_the_operators_topics_are_those_that_the_programs_would_make(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment_of("cluster", "Deployment", "generator").items():
        if isinstance(value, str):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOROSCOPE_KAFKA_SASL_PASSWORD", "a secret")
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    made = {
        new.topic: (
            new.num_partitions,
            new.replication_factor,
            {key: int(value) for key, value in new.config.items()},
        )
        for new in (topics._new(topic, settings) for topic in topics._ALL)
    }
    declared = {
        topic["metadata"]["name"]: (
            topic["spec"]["partitions"],
            topic["spec"]["replicas"],
            topic["spec"]["config"],
        )
        for topic in of_kind("cluster", "KafkaTopic")
    }
    assert declared == made


def test_generators_grow_with_the_lag_of_the_group_that_they_are_in() -> None:
    (scaled,) = of_kind("cluster", "ScaledObject")
    trigger = scaled["spec"]["triggers"][0]["metadata"]
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    requests = topics.TOPICS[topics.HoroscopeRequest]
    assert trigger["topic"] == settings.kafka_topic_prefix + requests.name
    assert trigger["consumerGroup"] == f"{settings.kafka_group_prefix}{requests.group}"
    assert scaled["spec"]["maxReplicaCount"] == settings.kafka_partitions
    assert "replicas" not in named("cluster", "Deployment", "generator")["spec"]
