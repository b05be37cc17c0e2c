"""The image's command as a process: a numeric user, a read-only tree, a health check, a clean end.

There is no Docker where these tests run; a mount namespace gives the command the same ground.
"""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy_kit import ROOT, environment, pyeino

PATIENCE = 100.0
NAMESPACE = ROOT / "tests" / "deploy" / "namespace.sh"
# A provider that is never asked: nothing has to be loaded, as in the image `remote`.
SETTINGS = {
    "PYEINO_LLM__PROVIDER": "openai",
    "PYEINO_LLM__MODEL": "none",
    "PYEINO_LLM__BASE_URL": "http://127.0.0.1:9/v1",
    "PYEINO_RAG__EMBEDDING__PROVIDER": "none",
    "PYEINO_DATABASE__URL": "sqlite:////tmp/data/pyeino.db",
}


def root_prefix() -> list[str]:
    """What makes a command run as root; skips where that cannot be."""
    prefix = [] if os.getuid() == 0 else ["sudo", "-n", "-E"]
    if prefix and shutil.which("sudo") is None:
        pytest.skip("mounting needs root: run as root, or allow sudo without a password")
    probe = [*prefix, "unshare", "--mount", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace may be made: run as root, with CAP_SYS_ADMIN")
    return prefix


def in_image(*command: str, port: int, log: Path, **settings: str) -> subprocess.Popen[bytes]:
    """Start a command of ours in a mount namespace of its own, as uid 10001."""
    for name in ("unshare", "setpriv", "mount"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is missing: apt install util-linux mount")
    words = [str(ROOT / "src"), sysconfig.get_path("purelib"), str(ROOT / "configs")]
    python = os.path.realpath(sys.executable)
    with log.open("wb") as output:
        return subprocess.Popen(
            [
                *(*root_prefix(), "unshare", "--mount", "bash", str(NAMESPACE), *words),
                *(python, "-m", "pyeino", *command),
            ],
            env=environment(**{**SETTINGS, "PORT": str(port), **settings}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def health(port: int, *arguments: str) -> int:
    """The exit code of the image's own health check."""
    return pyeino("health", "--url", f"http://127.0.0.1:{port}", *arguments).returncode


@pytest.fixture
def served(free_port: int, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    log = tmp_path / "server.log"
    process = in_image("serve", port=free_port, log=log)
    try:
        wait_until_well(process, free_port, log)
        yield process, free_port, log
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=PATIENCE)


def status_of(process: subprocess.Popen[bytes]) -> dict[str, list[str]]:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


def test_g100_the_command_runs_as_a_numeric_user_on_a_read_only_root(
    served: tuple[subprocess.Popen[bytes], int, Path],
) -> None:
    process, port, log = served
    assert health(port, "--ready") == 0
    if os.getuid() == 0:  # else the process is sudo's
        status = status_of(process)
        assert status["Uid"] == ["10001"] * 4
        assert status["Gid"] == ["10001"] * 4
        assert int(status["CapEff"][0], 16) == 0
        assert int(status["CapBnd"][0], 16) == 0
        assert status["NoNewPrivs"] == ["1"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENCE) == 0, log.read_text()
    text = log.read_text()
    assert "Server draining" in text
    assert "Server stopped" in text
    assert health(port) == 1


def test_g109_on_sigterm_it_says_not_ready_while_it_still_answers(
    free_port: int, tmp_path: Path
) -> None:
    log = tmp_path / "server.log"
    process = in_image("serve", port=free_port, log=log, PYEINO_SERVER__DRAIN_DELAY="3s")
    try:
        wait_until_well(process, free_port, log)
        until = time.monotonic() + PATIENCE
        process.send_signal(signal.SIGTERM)
        while "Server draining" not in log.read_text():
            assert time.monotonic() < until
            time.sleep(0.02)
        assert health(free_port, "--ready") == 1, "load balancers go elsewhere"
        assert health(free_port) == 0, "and what is on its way is still answered"
        assert process.wait(timeout=PATIENCE) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=PATIENCE)


def test_g104_with_the_generated_secrets_nobody_comes_in_without_a_key(
    free_port: int, tmp_path: Path
) -> None:
    subprocess.run(
        ["bash", str(ROOT / "scripts" / "compose-env.sh")],
        env=environment(PYEINO_COMPOSE_DIR=str(tmp_path)),
        check=True,
        capture_output=True,
        timeout=60,
    )
    lines = (tmp_path / ".env").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
    names = (
        *("PYEINO_AUTH__JWT_SECRET", "PYEINO_AUTH__BOOTSTRAP_KEY"),
        *("PYEINO_DATABASE__ENCRYPTION_KEY", "PYEINO_METRICS__TOKEN"),
    )
    settings = {name: values[name] for name in names}
    log = tmp_path / "server.log"
    process = in_image(
        "serve",
        port=free_port,
        log=log,
        ENV="production",
        PYEINO_AUTH__ENABLED="true",
        PYEINO_SERVER__HOST="0.0.0.0",
        PYEINO_SERVER__DRAIN_DELAY="0s",
        **settings,
    )
    key, token = settings["PYEINO_AUTH__BOOTSTRAP_KEY"], settings["PYEINO_METRICS__TOKEN"]
    try:
        wait_until_well(process, free_port, log)
        assert status(free_port, "/v1/models") == 401
        wrong = key[:-1] + ("1" if key.endswith("0") else "0")
        assert status(free_port, "/v1/models", {"X-API-Key": wrong}) == 401
        assert status(free_port, "/v1/models", {"X-API-Key": key}) == 200
        assert status(free_port, "/metrics") == 401
        assert status(free_port, "/metrics", {"Authorization": f"Bearer {token}"}) == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0, log.read_text()
        assert not any(value in log.read_text() for value in settings.values())
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=PATIENCE)


def wait_until_well(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while health(port) != 0:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)


def status(port: int, path: str, headers: dict[str, str] | None = None) -> int:
    """The status of a GET; refusals are answers too."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            code: int = answer.status
    except urllib.error.HTTPError as error:
        code = error.code
    return code


def test_a_database_on_the_read_only_tree_is_refused_with_one_message(
    free_port: int, tmp_path: Path
) -> None:
    log = tmp_path / "server.log"
    process = in_image(
        "serve", port=free_port, log=log, PYEINO_DATABASE__URL="sqlite:////mnt/data/pyeino.db"
    )
    assert process.wait(timeout=PATIENCE) == 1
    text = log.read_text()
    assert "DATABASE_READ_ONLY" in text
    assert "Traceback" not in text


def test_n11_the_migration_job_runs_there_too(free_port: int, tmp_path: Path) -> None:
    log = tmp_path / "migrate.log"
    process = in_image("migrate", port=free_port, log=log)
    assert process.wait(timeout=PATIENCE) == 0, log.read_text()
    assert "now" in log.read_text()
