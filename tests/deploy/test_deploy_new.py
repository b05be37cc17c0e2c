"""What `pyeino new` writes, as its user has it: installed from a wheel, tested, served."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import kubernetes_validate
import pytest
from deploy_kit import ROOT, documents, program, script_of_environment

from pyeino.cli import main

PATIENCE = 300.0


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "my-answers"
    assert main(["new", "my-answers", "--folder", str(folder)]) == 0
    return folder


def test_its_dockerfile_and_manifests_pass(project: Path) -> None:
    hadolint = [script_of_environment("hadolint"), "--no-color", str(project / "Dockerfile")]
    done = subprocess.run(hadolint, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout + done.stderr == ""
    for item in documents(project / "deployments" / "kubernetes.yaml"):
        kubernetes_validate.validate(item, "1.37", strict=True)


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without our tree on the path, and without what our own make was told."""
    foreign = (
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "MAKEFLAGS",
        "MFLAGS",
        "MAKELEVEL",
        "MAKEOVERRIDES",
        "ARGS",
    )
    return {k: v for k, v in os.environ.items() if k not in foreign} | more


def make(project: Path, *words: str, **more: str) -> str:
    done = subprocess.run(
        [program("make", "apt install make"), *words],
        cwd=project,
        env=clean_environment(**more),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_without_a_wheel_it_says_where_pyeino_comes_from(project: Path) -> None:
    done = subprocess.run(
        ["bash", "scripts/setup.sh"],
        cwd=project,
        env=clean_environment(PYEINO_WHEEL=""),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "not on the package index" in done.stderr
    assert "vendor/" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.full
@pytest.mark.timeout(900)
def test_make_test_and_make_run_pass_with_pyeino_from_a_wheel(
    project: Path, free_port: int
) -> None:
    vendor = project / "vendor"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *("--build-constraint", str(ROOT / "constraints.txt")),
            *("--wheel-dir", str(vendor), str(ROOT)),
        ],
        env=clean_environment(),
        check=True,
        timeout=PATIENCE,
    )
    assert [path.suffix for path in vendor.iterdir()] == [".whl"]
    assert "passed" in make(project, "test")
    where = "import pyeino; print(pyeino.__file__)"
    found = subprocess.run(
        [str(project / ".venv/bin/python"), "-c", where],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert found.startswith(str(project)), "the wheel is used, and not this tree"
    _serve_and_ask(project, free_port)


def _serve_and_ask(project: Path, port: int) -> None:
    log = project / "run.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [program("make", "apt install make"), "run"],
            cwd=project,
            env=clean_environment(PORT=str(port)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + PATIENCE
        while "pyeino is ready" not in log.read_text():
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/chat",
            data=json.dumps({"user_id": "ann", "message": "good morning"}).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert "good morning" in json.load(answer)["content"]
        os.killpg(server.pid, signal.SIGINT)  # Ctrl-C reaches make and the server alike
        server.wait(timeout=60)
        assert '"clean":true' in log.read_text().replace(" ", "")
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(timeout=60)
