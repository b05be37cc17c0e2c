"""The manifests: against Kubernetes' own schemas, and what the guide's left out."""

import base64
import re
import secrets
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from deploy_kit import (
    K8S,
    KUSTOMIZE,
    bytes_of,
    documents,
    manifests,
    one,
    patched,
    pod_of,
    pyeino,
    seconds_of,
)

SCHEMAS = "1.37"
PLAIN = manifests()
LOCAL = patched(PLAIN, KUSTOMIZE / "local-model")
FORMS = {"plain": PLAIN, "local-model": LOCAL}
SECRET_KEYS = {"database-url", "redis-url", "llm-api-key", "jwt-secret"}
# The most that a server with model and embedder held while it was measured, in MiB.
MEASURED_LOCAL = 652

forms = pytest.mark.parametrize("objects", FORMS.values(), ids=FORMS)


def validate(item: dict[str, Any]) -> None:
    kubernetes_validate.validate(item, SCHEMAS, strict=True)


def container_of(item: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod_of(item)["containers"]
    return container


def config_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return yaml.safe_load(one(objects, "ConfigMap")["data"]["config.yaml"])


@forms
def test_kubernetes_takes_every_object(objects: list[dict[str, Any]]) -> None:
    for item in objects:
        validate(item)


def test_the_schemas_find_what_is_wrong() -> None:
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"port": 1}}
    with pytest.raises(Exception, match="port"):
        validate(wrong)


def test_every_file_is_applied_or_named() -> None:
    applied = set(documents(K8S / "kustomization.yaml")[0]["resources"])
    files = {path.name for path in K8S.glob("*.yaml")}
    assert files - applied == {"kustomization.yaml", "secrets.yaml"}
    for folder in KUSTOMIZE.iterdir():
        (kustomization,) = documents(folder / "kustomization.yaml")
        named = [
            *kustomization["resources"],
            *(p["path"] for p in kustomization.get("patches", [])),
        ]
        assert all((folder / path).resolve().exists() for path in named)
        # kustomize refuses a base in a folder above the overlay.
        bases = [(folder / path).resolve() for path in kustomization["resources"]]
        assert not any(base in folder.resolve().parents for base in bases)


def test_the_names_and_figures_of_the_guide() -> None:
    deployment = one(PLAIN, "Deployment", "eino-app")
    assert deployment["spec"]["replicas"] == 3
    container = container_of(deployment)
    assert container["resources"] == {
        "requests": {"memory": "256Mi", "cpu": "250m"},
        "limits": {"memory": "512Mi", "cpu": "500m"},
    }
    live, ready = container["livenessProbe"], container["readinessProbe"]
    assert (live["httpGet"]["path"], live["initialDelaySeconds"], live["periodSeconds"]) == (
        "/health",
        30,
        10,
    )
    assert (ready["httpGet"]["path"], ready["initialDelaySeconds"], ready["periodSeconds"]) == (
        "/ready",
        5,
        5,
    )
    (port,) = one(PLAIN, "Service", "eino-service")["spec"]["ports"]
    assert (port["port"], container["ports"][0]["containerPort"]) == (80, 8080)
    assert one(PLAIN, "Ingress", "eino-ingress")["spec"]["tls"][0]["secretName"] == "eino-tls"
    assert set(one(PLAIN, "Secret", "eino-secrets")["stringData"]) >= SECRET_KEYS


@forms
def test_what_is_selected_and_named_is_there(objects: list[dict[str, Any]]) -> None:
    deployment = one(objects, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        one(objects, "Service")["spec"]["selector"],
        one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    job = one(objects, "Job")["spec"]["template"]["metadata"]["labels"]
    assert not one(objects, "Service")["spec"]["selector"].items() <= job.items()
    rule = one(objects, "Ingress")["spec"]["rules"][0]
    assert rule["http"]["paths"][0]["backend"]["service"]["name"] == "eino-service"
    assert rule["host"] in config_of(objects)["server"]["allowed_hosts"]
    target = one(objects, "HorizontalPodAutoscaler")["spec"]
    assert target["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert one(objects, "PodDisruptionBudget")["spec"]["minAvailable"] < target["minReplicas"]


@forms
def test_g107_secrets_and_settings_are_given(objects: list[dict[str, Any]]) -> None:
    given = one(objects, "Secret")["stringData"]
    for kind in ("Deployment", "Job"):
        for entry in container_of(one(objects, kind))["env"]:
            if "valueFrom" in entry:
                reference = entry["valueFrom"]["secretKeyRef"]
                assert reference["name"] == "eino-secrets"
                assert reference["key"] in given
    (config,) = [v for v in pod_of(one(objects, "Deployment"))["volumes"] if v["name"] == "config"]
    assert config["configMap"]["name"] == one(objects, "ConfigMap")["metadata"]["name"]


def settings_of(objects: list[dict[str, Any]], folder: Path, **values: str) -> dict[str, str]:
    """The environment of a server's container, its settings file written to `folder`."""
    file = folder / "config.yaml"
    file.write_text(one(objects, "ConfigMap")["data"]["config.yaml"])
    given = one(objects, "Secret")["stringData"] | values
    env = {}
    for entry in container_of(one(objects, "Deployment"))["env"]:
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        env[entry["name"]] = given[reference["key"]] if reference else entry["value"]
    return env | {"PYEINO_CONFIG": str(file)}


def test_g107_placeholders_are_refused_at_the_start(tmp_path: Path) -> None:
    given = one(PLAIN, "Secret")["stringData"]
    assert all("REPLACE-ME" in value for value in given.values())
    done = pyeino(
        "config",
        "check",
        DATABASE_URL=given["database-url"],
        REDIS_URL=given["redis-url"],
        PYEINO_LLM__PROVIDER="openai",
        PYEINO_LLM__MODEL="any",
        PYEINO_LLM__API_KEY=given["llm-api-key"],
    )
    assert done.returncode == 2
    for key in ("database.url", "redis.url", "llm.api_key"):
        assert re.search(rf"{re.escape(key)} = .*still the placeholder", done.stderr), key


@forms
def test_g107_every_placeholder_is_found(objects: list[dict[str, Any]], tmp_path: Path) -> None:
    env = settings_of(objects, tmp_path)
    done = pyeino("config", "check", **env)
    assert done.returncode == 2
    placeholders = sum("REPLACE-ME" in value for value in env.values())
    assert done.stderr.count("still the placeholder") == placeholders


@forms
def test_the_server_takes_its_settings(objects: list[dict[str, Any]], tmp_path: Path) -> None:
    given = {
        "database-url": "postgres://eino:4kfW2sLq@postgres:5432/einodb",
        "redis-url": "redis://:4kfW2sLq@redis:6379/0",
        "llm-api-key": "a-key",
        "jwt-secret": secrets.token_urlsafe(48),
        "bootstrap-key": f"pyk_{secrets.token_hex(6)}_{secrets.token_hex(32)}",
        "encryption-key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "metrics-token": secrets.token_hex(32),
    }
    done = pyeino("config", "check", **settings_of(objects, tmp_path, **given))
    assert done.returncode == 0, done.stderr


@forms
def test_g108_replicas_share_limits_and_caches(objects: list[dict[str, Any]]) -> None:
    deployment = one(objects, "Deployment")
    assert deployment["spec"]["replicas"] > 1
    (redis,) = [e for e in container_of(deployment)["env"] if e["name"] == "REDIS_URL"]
    reference = redis["valueFrom"]["secretKeyRef"]
    assert reference["key"] == "redis-url"
    assert not reference.get("optional"), "without it a pod must not start"


@forms
def test_g109_there_is_time_to_leave(objects: list[dict[str, Any]]) -> None:
    pod = pod_of(one(objects, "Deployment"))
    container = container_of(one(objects, "Deployment"))
    server = config_of(objects)["server"]
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed = before + seconds_of(server["drain_delay"]) + seconds_of(server["drain_timeout"]) + 2
    assert pod["terminationGracePeriodSeconds"] > needed
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[name]["timeoutSeconds"] > 2, "the longest that /ready itself waits"
    start = container["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] >= 60


@forms
def test_g109_pods_keep_the_restricted_standard(objects: list[dict[str, Any]]) -> None:
    namespace = one(objects, "Namespace")["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"
    for kind in ("Deployment", "Job"):
        restricted_problems = pod_problems(pod_of(one(objects, kind)))
        assert restricted_problems == [], kind


def pod_problems(pod: dict[str, Any]) -> list[str]:
    """What the standard "restricted" would refuse, and a root that can be written."""
    found = []
    security = pod.get("securityContext", {})
    if not security.get("runAsNonRoot") or security.get("runAsUser", 0) < 10000:
        found.append("user")
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        found.append("seccomp")
    if pod.get("automountServiceAccountToken") is not False:
        found.append("token of the cluster")
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            found.append("escalation")
        if own.get("capabilities", {}).get("drop") != ["ALL"]:
            found.append("capabilities")
        if not own.get("readOnlyRootFilesystem"):
            found.append("root file system")
    kinds = {key for volume in pod.get("volumes", []) for key in volume if key != "name"}
    return found + sorted(kinds - {"configMap", "emptyDir", "secret"})


def test_the_standard_is_not_kept_by_the_pod_of_the_guide() -> None:
    guide = {"containers": [{"name": "eino-app"}], "volumes": []}
    assert len(pod_problems(guide)) == 6


def test_g110_streams_and_sockets_pass_the_ingress() -> None:
    ingress = one(PLAIN, "Ingress")
    notes = ingress["metadata"]["annotations"]
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert "kubernetes.io/ingress.class" not in notes
    prefix = "nginx.ingress.kubernetes.io/proxy-"
    assert notes[f"{prefix}buffering"] == "off"
    for name in ("read-timeout", "send-timeout"):
        assert int(notes[prefix + name]) >= 3600
    from pyeino.server._stream import STREAM_HEADERS

    assert (b"x-accel-buffering", b"no") in STREAM_HEADERS


def test_g111_the_local_model_has_figures_of_its_own() -> None:
    figures = container_of(one(LOCAL, "Deployment"))["resources"]
    assert bytes_of(figures["requests"]["memory"]) > MEASURED_LOCAL * 2**20
    assert bytes_of(figures["limits"]["memory"]) > 1.3 * MEASURED_LOCAL * 2**20
    assert float(figures["requests"]["cpu"]) >= 1
    threads = config_of(LOCAL)["llm"]["local"]["threads"]
    assert threads == int(figures["limits"]["cpu"])
    assert f"{MEASURED_LOCAL} MiB" in (KUSTOMIZE / "local-model/kustomization.yaml").read_text()
    remote = container_of(one(PLAIN, "Deployment"))["resources"]
    assert bytes_of(remote["limits"]["memory"]) < MEASURED_LOCAL * 2**20
    assert config_of(PLAIN)["llm"]["provider"] == "openai"


def test_the_overlay_takes_away_the_key_that_the_local_model_refuses() -> None:
    names = [entry["name"] for entry in container_of(one(LOCAL, "Deployment"))["env"]]
    assert "PYEINO_LLM__API_KEY" not in names
    assert len(names) == len(container_of(one(PLAIN, "Deployment"))["env"]) - 1


def test_the_service_monitor_asks_for_our_metrics_with_the_token() -> None:
    (monitor,) = documents(KUSTOMIZE / "monitoring" / "servicemonitor.yaml")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["path"] == "/metrics"
    assert endpoint["port"] == one(PLAIN, "Service")["spec"]["ports"][0]["name"]
    labels = one(PLAIN, "Service")["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    secret = endpoint["authorization"]["credentials"]
    assert secret["key"] in one(PLAIN, "Secret", secret["name"])["stringData"]
