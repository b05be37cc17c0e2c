"""docker-compose.yml and what it mounts: the rules of Compose, secrets, order of start."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_kit import ROOT, environment, pyeino

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRET_NAMES = ("JWT_SECRET", "BOOTSTRAP_KEY", "ENCRYPTION_KEY", "TOKEN", "PASSWORD")

# The part of the Compose specification that this file uses: key → the type of its value.
TOP = {"name": str, "services": dict, "volumes": dict, "secrets": dict}
SERVICE = {
    "build": dict,
    "image": str,
    "ports": list,
    "environment": dict,
    "secrets": list,
    "depends_on": dict,
    "volumes": list,
    "read_only": bool,
    "tmpfs": list,
    "cap_drop": list,
    "security_opt": list,
    "init": bool,
    "stop_grace_period": str,
    "restart": str,
    "healthcheck": dict,
    "command": list,
    "shm_size": str,
}
HEALTHCHECK = {"test", "interval", "timeout", "retries", "start_period", "start_interval"}
DURATION = re.compile(r"(\d+h)?(\d+m)?(\d+s)?")


def compose_problems(compose: dict[str, Any]) -> list[str]:
    """What in a compose file breaks a rule of the specification, as far as we use it."""
    found = [f"{key}: not a key of the top level" for key in compose if key not in TOP]
    services = compose["services"]
    for name, service in services.items():
        for key, value in service.items():
            if not isinstance(value, SERVICE.get(key, type(None))):
                found.append(f"{name}.{key}: unknown, or {type(value).__name__}")
        for key in service.get("environment", {}).values():
            if not isinstance(key, str):
                found.append(f"{name}.environment: {key!r} has to be text")
        found += [
            f"{name}.secrets: {secret} is not declared"
            for secret in service.get("secrets", [])
            if secret not in compose.get("secrets", {})
        ]
        for other, wanted in service.get("depends_on", {}).items():
            if other not in services:
                found.append(f"{name}.depends_on: there is no {other}")
            elif wanted["condition"] == "service_healthy" and not services[other].get(
                "healthcheck"
            ):
                found.append(f"{name}.depends_on: {other} has no health check")
        check = service.get("healthcheck", {})
        found += [f"{name}.healthcheck.{key}" for key in check if key not in HEALTHCHECK]
        found += [
            f"{name}.healthcheck.{key}: {check[key]!r} is no duration"
            for key in HEALTHCHECK - {"test", "retries"}
            if key in check and not DURATION.fullmatch(check[key])
        ]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if not source.startswith("./") and source not in compose.get("volumes", {}):
                found.append(f"{name}.volumes: {source} is not declared")
            elif source.startswith("./") and not (ROOT / source).exists():
                found.append(f"{name}.volumes: there is no {source}")
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `make compose-env` has run."""
    folder = tmp_path_factory.mktemp("compose")
    make_env(folder)
    return folder


def make_env(folder: Path) -> None:
    subprocess.run(
        ["bash", str(ROOT / "scripts" / "compose-env.sh")],
        env=environment(PYEINO_COMPOSE_DIR=str(folder)),
        check=True,
        capture_output=True,
        timeout=60,
    )


def env_of(folder: Path) -> dict[str, str]:
    lines = (folder / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def settings_in(folder: Path) -> dict[str, str]:
    """The environment of eino-app as Compose makes it, with the secrets where they are here."""
    values = env_of(folder)
    found = {}
    for name, text in SERVICES["eino-app"]["environment"].items():
        text = re.sub(r"\$\{(\w+)[^}]*\}", lambda match: values[match[1]], text)
        found[name] = text.replace("/run/secrets", str(folder / ".secrets"))
    return found | {"PYEINO_CONFIG": str(ROOT / "configs" / "config.yaml")}


def test_the_file_keeps_the_rules() -> None:
    assert compose_problems(COMPOSE) == []


@pytest.mark.parametrize(
    "change",
    [
        {"version": "3.8"},
        {"services": {"a": {"imagee": "x"}}},
        {"services": {"a": {"environment": {"A": 1}}}},
        {"services": {"a": {"depends_on": {"b": {"condition": "service_healthy"}}, "image": "x"}}},
        {"services": {"a": {"secrets": ["nowhere"]}}},
        {"services": {"a": {"healthcheck": {"interval": "often"}}}},
        {"services": {"a": {"volumes": ["data:/data"]}}},
    ],
)
def test_the_rules_find_what_is_wrong(change: dict[str, Any]) -> None:
    assert compose_problems({"services": {}} | change)


def test_the_services_of_the_guide_on_their_ports() -> None:
    assert set(SERVICES) == {"eino-app", "postgres", "redis", "prometheus", "grafana"}
    ports = {name: s["ports"][0] for name, s in SERVICES.items() if "ports" in s}
    assert ports == {
        "eino-app": "127.0.0.1:8080:8080",
        "prometheus": "127.0.0.1:9090:9090",
        "grafana": "127.0.0.1:3000:3000",
    }
    app = SERVICES["eino-app"]["environment"]
    assert (app["ENV"], app["LOG_LEVEL"]) == ("production", "info")
    assert all(s["restart"] == "unless-stopped" for s in SERVICES.values())
    assert "appendonly yes" in SERVICES["redis"]["command"][-1]


def test_g101_images_are_pinned_and_there_is_no_version_key() -> None:
    assert "version" not in COMPOSE
    images = [s["image"] for s in SERVICES.values() if "build" not in s]
    assert all(re.search(r":v?\d+\.\d+\.\d+", image) for image in images), images


def test_g102_the_health_check_of_the_app_is_our_own() -> None:
    check = SERVICES["eino-app"]["healthcheck"]
    assert check["test"] == ["CMD", "pyeino", "health", "--url", "http://127.0.0.1:8080"]
    assert (check["interval"], check["timeout"], check["retries"]) == ("30s", "10s", 3)


def test_g103_the_app_waits_until_its_stores_are_well() -> None:
    assert SERVICES["eino-app"]["depends_on"] == {
        "postgres": {"condition": "service_healthy"},
        "redis": {"condition": "service_healthy"},
    }


def test_g103_the_app_itself_waits_with_a_bound_and_a_message(free_port: int) -> None:
    done = pyeino(
        "migrate",
        DATABASE_URL=f"postgres://eino@127.0.0.1:{free_port}/einodb",
        PYEINO_DATABASE__START_TIMEOUT="1s",
    )
    assert done.returncode == 1
    assert "waiting for the database" in done.stderr


def test_g104_no_password_stands_in_the_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert not re.search(r"://[^/\s]*:[^/\s$]+@", text)
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if any(word in key for word in SECRET_NAMES):
                assert value.startswith("/run/secrets/"), f"{name}: {key}"
    assert all(one["file"].startswith(".secrets/") for one in COMPOSE["secrets"].values())


def test_g104_secrets_are_random_and_only_the_owner_reaches_them(
    written: Path, tmp_path: Path
) -> None:
    make_env(tmp_path)
    one, other = env_of(written), env_of(tmp_path)
    secrets = [name for name in one if any(word in name for word in SECRET_NAMES)]
    assert len(secrets) == 8
    assert all(len(one[name]) >= 24 and one[name] != other[name] for name in secrets)
    assert stat.S_IMODE((written / ".env").stat().st_mode) == 0o600
    assert stat.S_IMODE((written / ".secrets").stat().st_mode) == 0o700
    assert {p.name for p in (written / ".secrets").iterdir()} == set(COMPOSE["secrets"])
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/.env", "/.secrets/"} <= set(ignored)


def test_made_again_nothing_is_replaced_and_changes_arrive(tmp_path: Path) -> None:
    make_env(tmp_path)
    before = env_of(tmp_path)
    text = (tmp_path / ".env").read_text()
    (tmp_path / ".env").write_text(
        text.replace("PYEINO_LLM__API_KEY=\n", "PYEINO_LLM__API_KEY=mine\n")
    )
    make_env(tmp_path)
    assert env_of(tmp_path) == before | {"PYEINO_LLM__API_KEY": "mine"}
    assert (tmp_path / ".secrets" / "llm_api_key").read_text() == "mine"


def test_every_value_that_the_file_asks_for_is_written(written: Path) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    assert asked <= set(env_of(written))


def test_the_app_takes_what_compose_gives_it(written: Path) -> None:
    done = pyeino("config", "show", "--origin", **settings_in(written))
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    assert re.search(r"^server\.host = '?0\.0\.0\.0'? ", shown, re.M)
    assert re.search(r"^auth\.enabled = true ", shown, re.M)
    assert "PostgreSQL" in shown
    for name, value in env_of(written).items():
        if any(word in name for word in SECRET_NAMES):
            assert value not in shown


def test_g105_the_database_has_pgvector_and_a_user_without_power(
    postgres_server: Any, written: Path
) -> None:
    assert SERVICES["postgres"]["image"].startswith("pgvector/pgvector:")
    init = ROOT / "scripts" / "init.sql"
    mounts = SERVICES["postgres"]["volumes"]
    assert "./scripts/init.sql:/docker-entrypoint-initdb.d/init.sql:ro" in mounts
    name = postgres_server.make_database()
    os.environ["EINO_PASSWORD_FILE"] = str(written / ".secrets" / "eino_password")
    try:
        postgres_server.sql(init.read_text(), database=name)
    finally:
        del os.environ["EINO_PASSWORD_FILE"]
    vectors = "SELECT '[1,2]'::vector <-> '[1,3]'::vector"
    assert postgres_server.sql(vectors, database=name) == ["1"]
    powers = "SELECT rolsuper, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = 'eino'"
    assert postgres_server.sql(powers) == ["f|f|f"]
    url = postgres_server.url(name, user="eino")
    assert pyeino("migrate", DATABASE_URL=url).returncode == 0
    assert pyeino("migrate", "--check", DATABASE_URL=url).returncode == 0


def test_g112_tables_come_from_migrations_under_a_lock_and_only_forward(
    postgres_server: Any,
) -> None:
    init = (ROOT / "scripts" / "init.sql").read_text()
    assert not re.search(r"(?i)create\s+table", init)
    name = postgres_server.make_database()
    url = postgres_server.url(name)
    behind = pyeino("migrate", "--check", DATABASE_URL=url)
    assert behind.returncode == 1
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "pyeino", "migrate"],
            env=environment(DATABASE_URL=url),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    assert [process.wait(timeout=100) for process in both] == [0, 0]
    assert pyeino("migrate", "--check", DATABASE_URL=url).returncode == 0
    postgres_server.sql("UPDATE alembic_version SET version_num = '9999'", database=name)
    newer = pyeino("migrate", DATABASE_URL=url)
    assert newer.returncode == 1
    assert "9999" in newer.stderr
    found = postgres_server.sql("SELECT version_num FROM alembic_version", database=name)
    assert found == ["9999"], "an older pyeino leaves a newer schema alone"


def test_n11_every_file_that_is_mounted_is_there() -> None:
    for path in (
        "scripts/init.sql",
        "monitoring/prometheus.yml",
        "monitoring/alerts.yml",
        "monitoring/grafana/datasources/prometheus.yaml",
        "monitoring/grafana/dashboards/provider.yaml",
        "monitoring/grafana/dashboards/overview.json",
        "configs/config.yaml",
    ):
        assert (ROOT / path).stat().st_size > 0
        assert any(
            path.startswith(volume.split(":")[0].removeprefix("./"))
            for service in SERVICES.values()
            for volume in service.get("volumes", [])
        ), f"nothing mounts {path}"
