"""What the tests of the deployment files share: reading them, and the figures in them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "k8s"
KUSTOMIZE = ROOT / "deploy" / "kustomize"
CHART = ROOT / "deploy" / "helm" / "pyeino"
MONITORING = ROOT / "monitoring"
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
INSTALL_PROMETHEUS = "apt install prometheus (brings prometheus and promtool)"

_UNITS = {"Mi": 2**20, "Gi": 2**30}


def documents(path: Path) -> list[dict[str, Any]]:
    """Every document of a YAML file."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def manifests() -> list[dict[str, Any]]:
    """What `kubectl apply -k k8s` applies, and the secrets beside it."""
    found: list[dict[str, Any]] = []
    for name in (*documents(K8S / "kustomization.yaml")[0]["resources"], "secrets.yaml"):
        found += documents(K8S / name)
    return found


def one(objects: list[dict[str, Any]], kind: str, name: str | None = None) -> dict[str, Any]:
    """The only object of a kind (and name)."""
    (found,) = [
        item
        for item in objects
        if item["kind"] == kind and name in (None, item["metadata"]["name"])
    ]
    return found


def pod_of(item: dict[str, Any]) -> dict[str, Any]:
    """The pod that a Deployment or Job makes."""
    spec: dict[str, Any] = item["spec"]["template"]["spec"]
    return spec


def patched(objects: list[dict[str, Any]], overlay: Path) -> list[dict[str, Any]]:
    """`objects` after the JSON patches of an overlay (RFC 6902: replace, test, remove)."""
    result: list[dict[str, Any]] = json.loads(json.dumps(objects))
    for patch in documents(overlay / "kustomization.yaml")[0]["patches"]:
        target = one(result, patch["target"]["kind"], patch["target"]["name"])
        for operation in documents(overlay / patch["path"])[0]:
            _apply(target, operation)
    return result


def _apply(target: Any, operation: dict[str, Any]) -> None:
    *way, last = [part.replace("~1", "/") for part in operation["path"].split("/")[1:]]
    for part in way:
        target = target[int(part) if isinstance(target, list) else part]
    key: Any = int(last) if isinstance(target, list) else last
    match operation["op"]:
        case "replace":
            assert target[key] is not None
            target[key] = operation["value"]
        case "test":
            assert target[key] == operation["value"], operation
        case "remove":
            del target[key]
        case other:
            raise AssertionError(f"the operation {other} is not known here")


def bytes_of(quantity: str) -> int:
    """A memory quantity of Kubernetes as bytes."""
    return int(quantity[:-2]) * _UNITS[quantity[-2:]]


def seconds_of(text: str | int) -> float:
    """A duration as the settings write it."""
    return float(str(text).removesuffix("s"))


def program(name: str, install: str) -> str:
    """Where a program is; skips with the command that installs it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing: {install}")
    return found


def script_of_environment(name: str) -> str:
    """A program that a pip package brought into this environment."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        pytest.skip(f"{name} is missing: scripts/setup-venv.sh test")
    return str(path)


def environment(**settings: str) -> dict[str, str]:
    """The environment of a process of ours: this tree, and nobody's settings."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **settings}


def pyeino(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command line of this tree."""
    return subprocess.run(
        [sys.executable, "-m", "pyeino", *arguments],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        stdin=subprocess.DEVNULL,
    )
