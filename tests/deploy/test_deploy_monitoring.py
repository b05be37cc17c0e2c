"""Prometheus and Grafana: every query of every panel and alert on a real Prometheus, over a real
/metrics after real requests."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_kit import (
    DASHBOARDS,
    INSTALL_PROMETHEUS,
    MONITORING,
    environment,
    program,
    pyeino,
)

from pyeino.monitoring import Metrics

PATIENCE = 100.0
TOKEN = "the-token-of-this-test-0123456789"
# What the load below cannot bring about: nothing that retrieves or caches fails here, and only
# chains of a user's own have a QueryProcessor.
MAY_BE_EMPTY = {"Cache errors", "Retrieval errors", "Processing latency, 95th percentile"}


def dashboard(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def panels() -> list[tuple[str, str, str]]:
    """Each query of each panel: dashboard, title, PromQL."""
    return [
        (path.stem, panel["title"], target["expr"])
        for path in DASHBOARDS
        for panel in dashboard(path)["panels"]
        for target in panel["targets"]
    ]


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


# --- files ----------------------------------------------------------------------------------------


def test_g106_grafana_is_told_where_its_dashboards_are() -> None:
    (provider,) = yaml.safe_load((MONITORING / "grafana/dashboards/provider.yaml").read_text())[
        "providers"
    ]
    compose = yaml.safe_load((MONITORING.parent / "docker-compose.yml").read_text())
    mounts = [volume.split(":") for volume in compose["services"]["grafana"]["volumes"]]
    mounted = {target: source for source, target, *_ in mounts}
    assert mounted[provider["options"]["path"]] == "./monitoring/grafana/dashboards"
    assert "/etc/grafana/provisioning/datasources" in mounted


def test_g106_panels_ask_the_source_that_is_provisioned() -> None:
    (source,) = yaml.safe_load((MONITORING / "grafana/datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    assert len(DASHBOARDS) == 3
    for path in DASHBOARDS:
        board = dashboard(path)
        assert board["uid"].startswith("pyeino-")
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)
        for panel in board["panels"]:
            assert panel["datasource"]["uid"] == source["uid"]
            assert all(t["datasource"]["uid"] == source["uid"] for t in panel["targets"])
            place = panel["gridPos"]
            assert 0 <= place["x"] <= 24 - place["w"]


def test_every_metric_of_ours_is_on_a_dashboard() -> None:
    shown = " ".join(expr for _, _, expr in panels())
    names = {metric.name for metric in Metrics().registry.collect()}
    assert {name for name in names if name not in shown} == set()


def promtool(*arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        [program("promtool", INSTALL_PROMETHEUS), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def local_config(folder: Path, port: int) -> Path:
    """monitoring/prometheus.yml for a server on this machine, scraped each second."""
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    (folder / "metrics_token").write_text(TOKEN)
    (folder / "alerts.yml").write_text((MONITORING / "alerts.yml").read_text())
    config["global"] = dict.fromkeys(("scrape_interval", "scrape_timeout"), "1s")
    config["global"]["evaluation_interval"] = "1s"
    job = config["scrape_configs"][0]
    job["authorization"]["credentials_file"] = str(folder / "metrics_token")
    job["static_configs"][0]["targets"] = [f"127.0.0.1:{port}"]
    config["scrape_configs"] = [job]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_promtool_takes_configuration_and_rules(tmp_path: Path) -> None:
    assert "SUCCESS" in promtool("check", "config", str(local_config(tmp_path, 8080)))
    assert "6 rules found" in promtool("check", "rules", str(MONITORING / "alerts.yml"))


def test_each_alert_fires_on_what_it_is_for_and_is_quiet_otherwise() -> None:
    cases = MONITORING.parent / "tests" / "deploy" / "alerts_test.yml"
    assert "SUCCESS" in promtool("test", "rules", str(cases))
    named = {
        one["alertname"]
        for case in yaml.safe_load(cases.read_text())["tests"]
        for one in case["alert_rule_test"]
        if one["exp_alerts"]
    }
    assert named == {rule["alert"] for rule in alerts()}


# --- a real Prometheus ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A server and the Prometheus that scrapes it."""

    server: str
    prometheus: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query; fails when Prometheus refuses it."""
        words = urllib.parse.urlencode({"query": expression})
        return self.api(f"query?{words}")["result"]

    def api(self, path: str) -> Any:
        try:
            with urllib.request.urlopen(f"{self.prometheus}/api/v1/{path}", timeout=30) as answer:
                body = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error
        assert body["status"] == "success", body
        return body["data"]

    def load(self) -> None:
        """One of everything that a panel shows; refusals are part of it."""
        chat = {"user_id": "ann", "message": "Hello", "options": {"max_tokens": 4}}
        self.send("/api/v1/chat", chat)
        self.send("/api/v1/chat/stream", chat | {"options": {"max_tokens": 8}})
        self.send("/api/v1/chat", chat | {"options": {"chain": "rag", "max_tokens": 4}})
        completion = {"model": "default", "messages": [{"role": "user", "content": "Hi"}]}
        self.send("/v1/chat/completions", completion | {"max_tokens": 4, "temperature": 0})
        self.send("/v1/chat/completions", completion | {"max_tokens": 4, "temperature": 0})
        self.send("/api/v1/chat", chat | {"message": "word " * 9000}, expected=400)
        self.send("/api/v1/chat", {"message": ""}, expected=400)

    def send(self, path: str, body: dict[str, Any], *, expected: int = 200) -> None:
        request = urllib.request.Request(
            self.server + path,
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                answer.read()
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
            text = error.read().decode()
            assert 400 <= status < 500, text
        assert (status == 200) == (expected == 200)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(log.read_text()[-3000:])


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def watched(local_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    prometheus = program("prometheus", INSTALL_PROMETHEUS)
    folder = tmp_path_factory.mktemp("watched")
    port, own = free_port(), free_port()
    settings = {
        "PORT": str(port),
        "PYEINO_DATABASE__URL": f"sqlite:///{folder}/watched.db",
        "PYEINO_LLM__TEMPERATURE": "0",
        "PYEINO_CACHE__ENABLED": "true",
        "PYEINO_METRICS__TOKEN": TOKEN,
    }
    (folder / "docs").mkdir()
    (folder / "docs" / "hello.md").write_text("# Hello\n\nHello is a greeting among friends.\n")
    ingested = pyeino("ingest", str(folder / "docs"), **settings)
    assert ingested.returncode == 0, ingested.stderr
    with (folder / "server.log").open("wb") as server_log, (folder / "prom.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "pyeino", "serve"],
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=server_log,
            stderr=subprocess.STDOUT,
        )
        watcher = subprocess.Popen(
            [
                prometheus,
                f"--config.file={local_config(folder, port)}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{own}",
                "--log.level=warn",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/ready", server, folder / "server.log")
            wait_for(f"http://127.0.0.1:{own}/-/ready", watcher, folder / "prom.log")
            yield Watched(server=f"http://127.0.0.1:{port}", prometheus=f"http://127.0.0.1:{own}")
        finally:
            for process in (watcher, server):
                process.terminate()
            codes = [process.wait(timeout=PATIENCE) for process in (watcher, server)]
    assert codes == [0, 0], (folder / "server.log").read_text()[-3000:]


def expanded(expression: str) -> str:
    """A query as Grafana sends it: every instance, and a window of some scrapes."""
    return expression.replace("$__rate_interval", "1m").replace("$instance", ".*")


def is_shown(result: list[dict[str, Any]]) -> bool:
    """Whether there is a number to draw."""
    return any(math.isfinite(float(series["value"][1])) for series in result)


def test_g106_every_panel_shows_something_of_a_server_under_load(watched: Watched) -> None:
    waiting = {(board, title, expr) for board, title, expr in panels()}
    until = time.monotonic() + PATIENCE
    while True:
        watched.load()
        # Each query has to be taken by Prometheus, also those of what may be empty.
        results = {one: watched.query(expanded(one[2])) for one in waiting}
        waiting = {one for one in waiting if not is_shown(results[one])}
        missing = {one for one in waiting if one[1] not in MAY_BE_EMPTY}
        if not missing or time.monotonic() > until:
            break
        time.sleep(0.5)
    assert {f"{board}: {title}: {expr}" for board, title, expr in missing} == set()


def test_the_server_is_scraped_without_an_error(watched: Watched) -> None:
    until = time.monotonic() + PATIENCE
    target: dict[str, Any] = {"health": "unknown"}
    while target["health"] == "unknown" and time.monotonic() < until:
        (target,) = watched.api("targets")["activeTargets"]
        time.sleep(0.1)
    assert (target["health"], target["lastError"]) == ("up", "")
    assert target["labels"]["job"] == "eino-app"


def test_every_alert_is_evaluated_without_an_error(watched: Watched) -> None:
    for rule in alerts():
        watched.query(rule["expr"])
    until = time.monotonic() + PATIENCE
    states: set[str] = {"unknown"}
    while states == {"unknown"} or "unknown" in states:
        assert time.monotonic() < until
        (group,) = watched.api("rules")["groups"]
        states = {rule["health"] for rule in group["rules"]}
        time.sleep(0.1)
    assert states == {"ok"}
    assert len(group["rules"]) == 6


def test_the_variable_of_the_dashboards_finds_the_instance(watched: Watched) -> None:
    for path in DASHBOARDS:
        (variable,) = dashboard(path)["templating"]["list"]
        assert variable["query"]["query"] == "label_values(eino_memory_usage_bytes, instance)"
    until = time.monotonic() + PATIENCE
    while not watched.query("eino_memory_usage_bytes"):
        assert time.monotonic() < until
        time.sleep(0.1)
    found = watched.query("eino_memory_usage_bytes")
    assert [series["metric"]["instance"] for series in found] == [watched.server[7:]]


def test_a_query_that_prometheus_does_not_take_fails(watched: Watched) -> None:
    with pytest.raises(AssertionError, match="parse error"):
        watched.query("sum(rate(eino_requests_total[1m])")
    assert not is_shown(watched.query("eino_no_such_metric"))
