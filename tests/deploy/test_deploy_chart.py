"""The Helm chart, rendered by the part of the language it keeps to (see chart_kit), not by helm."""

import json
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from chart_kit import ChartError, Renderer, merged, render_chart
from deploy_kit import CHART, K8S, documents, manifests, one, pod_of

from pyeino import __version__

DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
LOCAL_MODEL = yaml.safe_load((CHART / "values-local-model.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
EVERYTHING_OFF = {
    name: {"enabled": False}
    for name, value in DEFAULTS.items()
    if isinstance(value, dict) and "enabled" in value
}
VALUES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "local-model": LOCAL_MODEL,
    "off": EVERYTHING_OFF,
    "monitored": {"serviceMonitor": {"enabled": True}},
    "digest": {"image": {"digest": "sha256:" + "a" * 64}},
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_kubernetes_takes_what_is_rendered(values: dict[str, Any]) -> None:
    jsonschema.validate(merged(DEFAULTS, values), SCHEMA)
    objects = render_chart(CHART, values)
    assert len(objects) >= 4
    for item in objects:
        if item["kind"] != "ServiceMonitor":  # not one of Kubernetes' own kinds
            kubernetes_validate.validate(item, "1.37", strict=True)


@pytest.mark.parametrize(
    "values",
    [
        {"replica": 3},
        {"replicas": 0},
        {"image": {"tag": "latest"}},
        {"image": {"digest": "sha256:1"}},
        {"config": {"auth": {"enabled": False}}},
        {"terminationGracePeriodSeconds": 30},
        {"resources": {"limits": {"memory": "much"}}},
        {"ingress": {"timeout": 10}},
    ],
)
def test_the_schema_refuses_bad_values(values: dict[str, Any]) -> None:
    jsonschema.validate(DEFAULTS, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(merged(DEFAULTS, values), SCHEMA)


def test_the_chart_has_the_version_of_the_package() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["apiVersion"] == "v2"
    assert chart["appVersion"] == __version__
    assert LOCAL_MODEL["image"]["tag"] == f"{__version__}-local"


def test_chart_and_manifests_say_the_same() -> None:
    """What the plain manifests promise, the chart does too."""
    plain, chart = manifests(), render_chart(CHART, {})
    ours, theirs = pod_of(one(chart, "Deployment")), pod_of(one(plain, "Deployment"))
    assert ours["securityContext"] == theirs["securityContext"]
    assert ours["terminationGracePeriodSeconds"] == theirs["terminationGracePeriodSeconds"]
    for key in (
        *("startupProbe", "livenessProbe", "readinessProbe"),
        *("lifecycle", "resources", "securityContext", "volumeMounts", "args", "ports"),
    ):
        assert ours["containers"][0][key] == theirs["containers"][0][key], key
    names = {entry["name"] for entry in theirs["containers"][0]["env"]}
    assert {e["name"] for e in ours["containers"][0]["env"]} == names | {
        "PYEINO_SERVER__ALLOWED_HOSTS"
    }
    kinds = {item["kind"] for item in plain} - {"Namespace", "Secret"}
    assert {item["kind"] for item in chart} == kinds
    local = render_chart(CHART, LOCAL_MODEL)
    (patch,) = documents(K8S.parent / "deploy/kustomize/local-model/deployment.yaml")
    (figures,) = [operation["value"] for operation in patch if "resources" in operation["path"]]
    assert pod_of(one(local, "Deployment"))["containers"][0]["resources"] == figures
    assert one(local, "HorizontalPodAutoscaler")["spec"]["minReplicas"] == 3


def test_the_chart_holds_no_secret() -> None:
    assert not any(item["kind"] == "Secret" for item in render_chart(CHART, {}))
    text = "".join(path.read_text() for path in CHART.rglob("*") if path.is_file())
    assert "REPLACE-ME" not in text


def test_the_local_model_is_not_given_a_key() -> None:
    container = pod_of(one(render_chart(CHART, LOCAL_MODEL), "Deployment"))["containers"][0]
    assert "PYEINO_LLM__API_KEY" not in [entry["name"] for entry in container["env"]]


@pytest.mark.parametrize(
    "text",
    ["{{ .Values.nothing }}", "{{ range .Values }}x{{ end }}", "{{ if .Values }}", "{{ upper . }}"],
)
def test_what_the_renderer_does_not_know_fails(text: str) -> None:
    with pytest.raises(ChartError):
        Renderer().render(text, {"Values": {"a": 1}})


def test_the_renderer_renders() -> None:
    renderer = Renderer()
    renderer.read('{{ define "name" -}}\nn-{{ .Values.a }}\n{{- end }}')
    text = 'x: {{ include "name" . | quote }}\n{{- if not .Values.b }}\ny: 1\n{{- else }}\n'
    text += "y: {{ toYaml .Values.c | nindent 2 }}\n{{- end }}\n"
    assert renderer.render(text, {"Values": {"a": 1, "b": True, "c": {"d": [1]}}}) == (
        'x: "n-1"\ny: \n  d:\n  - 1\n'
    )
