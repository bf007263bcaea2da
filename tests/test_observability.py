"""What operators see of real programs at work: metrics, dashboard, alerts, logs and traces."""

import asyncio
import json
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from kafka_server import free_port
from kafka_system import Program, System
from local_telegram import answers, buttons, until
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from horoscope.demo.server import serving
from horoscope.demo.telegram import Telegram
from horoscope.demo.trouble import Trouble
from horoscope.generation.guard import REASONS

MONITORING = Path(__file__).parent.parent / "monitoring"
# Words that stand nowhere but in what people write.
SECRETS = ["щурбалгук", "квензопраф", "мрыльдофест"]
PROGRAMS = ("bot", "worker")


@dataclass
class Span:
    """One span as the collector gets it."""

    service: str
    name: str
    trace: bytes
    id: bytes
    parent: bytes
    request: str
    seconds: float


@dataclass
class Scene:
    """What was to be seen after some people had talked to the bot."""

    asked: int
    pages: dict[str, str]
    metrics: dict[str, dict[str, Metric]]
    logs: dict[str, str]
    spans: list[Span]
    shown: dict[str, int]
    """How many lines Prometheus gives for each query of the dashboard."""
    rules: dict[str, str]
    """How Prometheus fares with each alert rule."""

    def value(self, program: str, name: str, **labels: str) -> float:
        """A sample of a program's metrics."""
        for family in self.metrics[program].values():
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        raise AssertionError(f"{program} has no {name} {labels}")


@pytest.fixture(scope="module")
def scene(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    spans: list[Span] = []
    with collector(spans) as tracing_url:
        return asyncio.run(play(kafka, tmp_path_factory.mktemp("scene"), tracing_url, spans))


async def play(kafka: str, directory: Path, tracing_url: str, spans: list[Span]) -> Scene:
    telegram = Telegram()
    async with serving(telegram) as url:
        seen = {"log_format": "json", "tracing_url": tracing_url}
        ports = {name: free_port() for name in PROGRAMS}
        system = System(directory / "scene", url, kafka, **seen)
        programs = {
            name: system._program(name, ["-m", "horoscope", name], {"http_port": ports[name]})
            for name in PROGRAMS
        }
        try:
            for program in programs.values():
                await program.start()
            with prometheus(directory, ports) as prometheus_url:
                asked = await talk(telegram)
                # The last answer is written, and its reader has blocked the bot.
                lost = 'horoscope_failures_total{cause="telegram"}'
                await until(lambda: lost in page(ports["bot"]), 60)
                await asyncio.sleep(3)  # a rate needs two looks of Prometheus
                shown = {query: len(ask(prometheus_url, query)) for query in queries()}
                groups = fetch(f"{prometheus_url}/api/v1/rules")["groups"]
            # The client tells of the lag every five seconds.
            idle = 'horoscope_lag{topic="scene.requests"} 0.0'
            await until(lambda: idle in page(ports["worker"]), 60)
            pages = {name: page(ports[name]) for name in PROGRAMS}
            for program in programs.values():
                assert await program.end() == 0  # what is left of the spans is sent
        finally:
            await system.stop()
    metrics = {
        name: {family.name: family for family in text_string_to_metric_families(text)}
        for name, text in pages.items()
    }
    rules = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    return Scene(asked, pages, metrics, logs_of(programs), spans, shown, rules)


@contextmanager
def prometheus(directory: Path, ports: dict[str, int]) -> Iterator[str]:
    """A Prometheus that looks at programs and knows our alert rules; its address."""
    port = free_port()
    jobs = [
        {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
        for name, target in ports.items()
    ]
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(MONITORING / "alerts.yaml")],
        "scrape_configs": jobs,
    }
    written = directory / "prometheus.yaml"
    written.write_text(yaml.safe_dump(config))
    command = [
        *("prometheus", f"--config.file={written}", f"--storage.tsdb.path={directory}/series"),
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def ask(url: str, query: str) -> list[Any]:
    """What Prometheus answers to a query of the dashboard."""
    said = urlencode({"query": query.replace("$__rate_interval", "1m")})
    result: list[Any] = fetch(f"{url}/api/v1/query?{said}")["result"]
    return result


def fetch(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)["data"]


def dashboard() -> dict[str, Any]:
    shown: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
    return shown


def queries() -> list[str]:
    return [target["expr"] for panel in panels(dashboard()) for target in panel["targets"]]


async def talk(telegram: Telegram) -> int:
    """People ask in every way, some in vain, while Telegram fails; how many asked for a text."""
    anna, boris, vera, gleb = (telegram.join(name) for name in ("Аня", "Борис", "Вера", "Глеб"))
    telegram.write(anna, "/generate лев")
    [answer] = await answers(telegram, anna, 1, patience=90)
    telegram.tap(anna, anna, answer["message_id"], next(iter(buttons(answer).values())))
    await answers(telegram, anna, 2)
    for secret in SECRETS:
        telegram.write(boris, f"/generate {secret}")
        telegram.write(boris, f"{secret} и ещё кое-что")
    telegram.write(boris, "/generate рыбы")
    await until(lambda: any("Рыбы" in message["text"] for message in telegram.said_by_bot(boris)))
    telegram.troubles.all += [
        Trouble(status=429, methods=frozenset({"sendMessage"}), times=1),
        Trouble(status=502, methods=frozenset({"sendMessage"}), times=1),
        Trouble(methods=frozenset({"sendMessage"}), times=1),
    ]
    telegram.write(vera, "/generate дева")
    await answers(telegram, vera, 1, patience=60)
    query = telegram.ask_inline(vera, "весы", vera)
    await until(lambda: telegram.queries[query].results)
    telegram.write(gleb, "/generate рак")
    telegram.write(gleb, "/generate рак")  # while the first is on its way
    telegram.block(gleb, True)
    return 6


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text: str = response.read().decode()
    return text


def logs_of(programs: dict[str, Program]) -> dict[str, str]:
    return {name: program.log.read_text() for name, program in programs.items()}


@contextmanager
def collector(spans: list[Span]) -> Iterator[str]:
    """A collector of OTLP over HTTP, and its address.

    In a thread of its own: whoever sends a span gives up after ten seconds, and a busy machine may
    keep the event loop from it for longer.
    """

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            spans.extend(spans_in(ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/traces"
        finally:
            server.shutdown()


def spans_in(export: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in export.resource_spans:
        about = {a.key: a.value.string_value for a in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                named = {a.key: a.value.string_value for a in span.attributes}
                yield Span(
                    about["service.name"],
                    span.name,
                    span.trace_id,
                    span.span_id,
                    span.parent_span_id,
                    named["horoscope.request"],
                    (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                )


def test_what_happens_is_counted(scene: Scene) -> None:
    sources = {"words": 4, "button": 1, "inline": 1}
    for source, count in sources.items():
        assert scene.value("bot", "horoscope_requests_total", source=source) == count
    assert scene.value("bot", "horoscope_refused_total", reason="busy") == 1
    assert scene.value("bot", "horoscope_answers_total") >= 4
    assert scene.value("bot", "horoscope_answer_seconds_count") >= 4
    assert scene.value("bot", "horoscope_deliveries_in_flight") == 0
    for code in ("429", "5xx", "network", "403"):
        assert scene.value("bot", "horoscope_telegram_errors_total", code=code) >= 1
    assert scene.value("bot", "horoscope_telegram_calls_total", method="sendMessage") >= 4
    assert scene.value("bot", "horoscope_failures_total", cause="telegram") >= 1
    assert scene.value("worker", "horoscope_queue_seconds_count") == scene.asked
    assert scene.value("worker", "horoscope_generation_seconds_count") == scene.asked
    assert scene.value("worker", "horoscope_batch_requests_sum") == scene.asked
    assert scene.value("worker", "horoscope_requests_in_flight") == 0
    assert scene.value("worker", "horoscope_tokens_total") > 100
    assert scene.value("worker", "horoscope_writing_seconds_total") > 0
    assert scene.value("worker", "horoscope_lag", topic="scene.requests") == 0
    for reason in REASONS:  # told from the start, though there may be nothing to refuse
        assert scene.value("worker", "horoscope_guard_refusals_total", reason=reason) >= 0
    for program in PROGRAMS:
        assert scene.value(program, "horoscope_ready") == 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_prometheus_finds_nothing_odd_in_the_metrics(scene: Scene, program: str) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=scene.pages[program],
        capture_output=True,
        text=True,
        check=False,
    )
    said = checked.stdout + checked.stderr
    assert not [line for line in said.splitlines() if line.startswith("horoscope_")]


def names_in(expression: str) -> set[str]:
    """The names of metrics in a query."""
    return set(re.findall(r"\b(?:horoscope|process|python)_\w+|\bup\b", expression))


def exported(scene: Scene) -> set[str]:
    """All names under which Prometheus stores what the programs say."""
    return {
        sample.name
        for families in scene.metrics.values()
        for family in families.values()
        for sample in family.samples
    } | {"up"}


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def test_every_panel_of_the_dashboard_shows_what_the_programs_export(scene: Scene) -> None:
    shown: set[str] = set()
    for panel in panels(dashboard()):
        assert panel["title"]
        used = {name for target in panel["targets"] for name in names_in(target["expr"])}
        assert used, panel["title"]
        assert used <= exported(scene), panel["title"]
        shown |= used
    # And nothing of ours is exported that no panel shows.
    ours = {
        family.name
        for families in scene.metrics.values()
        for family in families.values()
        if family.name.startswith("horoscope_")
    }
    unseen = {name for name in ours if not any(each.startswith(name) for each in shown)}
    assert unseen == set()


def test_every_panel_shows_something_when_people_ask(scene: Scene) -> None:
    assert [query for query, lines in scene.shown.items() if not lines] == []


def test_every_alert_is_understood_and_looks_at_what_the_programs_export(scene: Scene) -> None:
    alerts = yaml.safe_load((MONITORING / "alerts.yaml").read_text(encoding="utf-8"))
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    assert scene.rules == {rule["alert"]: "ok" for rule in rules}
    for rule in rules:
        assert names_in(rule["expr"]) <= exported(scene), rule["alert"]
        assert rule["annotations"]["runbook"].startswith("docs/operations.md#")


def test_the_examples_for_prometheus_are_valid(tmp_path: Path) -> None:
    subprocess.run(["promtool", "check", "config", MONITORING / "prometheus.yaml"], check=True)
    # Debian builds Prometheus without knowledge of Kubernetes, so that part is looked at here.
    config = yaml.safe_load((MONITORING / "prometheus-kubernetes.yaml").read_text())
    [job] = config["scrape_configs"]
    assert job.pop("kubernetes_sd_configs") == [
        {"role": "pod", "namespaces": {"names": ["horoscope"]}}
    ]
    rest = tmp_path / "rest.yaml"
    rest.write_text(yaml.safe_dump(config))
    subprocess.run(["promtool", "check", "config", rest], check=True)


def test_alerts_fire_when_they_should_and_only_then() -> None:
    tested = subprocess.run(
        ["promtool", "test", "rules", "alerts_test.yaml"],
        cwd=MONITORING,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_has_its_place_in_the_runbook() -> None:
    operations = (MONITORING.parent / "docs" / "operations.md").read_text(encoding="utf-8")
    anchors = {
        "-".join(re.sub(r"[^\w\s-]", "", title.lower()).split())
        for title in re.findall(r"^#+ (.+)$", operations, re.MULTILINE)
    }
    alerts = yaml.safe_load((MONITORING / "alerts.yaml").read_text(encoding="utf-8"))
    for group in alerts["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["runbook"].split("#")[1] in anchors, rule["alert"]


def lines(scene: Scene, program: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in scene.logs[program].splitlines()]


def test_a_request_can_be_followed_through_the_logs_from_update_to_answer(scene: Scene) -> None:
    said = {
        program: [(line["request"], line["message"]) for line in lines(scene, program)
                  if "request" in line]
        for program in PROGRAMS
    }  # fmt: skip
    answered = {request for request, message in said["bot"] if "answered after" in message}
    assert len(answered) >= 4
    for request in answered:
        assert any(who == request and "is taken" in message for who, message in said["bot"])
        assert any(who == request and "written in" in message for who, message in said["worker"])


def test_every_line_of_the_log_is_one_json_object(scene: Scene) -> None:
    for program in PROGRAMS:
        for line in lines(scene, program):
            assert {"time", "level", "logger", "message"} <= line.keys()


def test_what_a_person_writes_is_in_no_log(scene: Scene) -> None:
    for log in scene.logs.values():
        assert log
        assert not [secret for secret in SECRETS if secret in log.lower()]


def test_a_trace_leads_from_the_question_across_kafka_to_the_answer(scene: Scene) -> None:
    asked = [span for span in scene.spans if span.name == "ask"]
    assert len(asked) == scene.asked
    for ask in asked:
        [write] = [span for span in scene.spans if span.name == "write" and span.parent == ask.id]
        [deliver, *_] = [span for span in scene.spans if span.parent == write.id]
        assert (ask.service, write.service) == ("horoscope-bot", "horoscope-worker")
        assert (deliver.name, deliver.service) == ("deliver", "horoscope-bot")
        assert ask.trace == write.trace == deliver.trace
        assert ask.request == write.request == deliver.request


ENDING = """
import asyncio, sys, threading, time
from horoscope.observability.tracing import span
from horoscope.program import run_until_told
from horoscope.settings import Settings

async def one_span():
    with span("ask", "7"):
        threading.Thread(target=time.sleep, args=[float(sys.argv[2])]).start()

run_until_told("bot", Settings(tracing_url=sys.argv[1]), one_span)
"""


def end(tracing_url: str, waits: int) -> int:
    """Let a program end with a span to send, while a thread waits for so many seconds."""
    # Of the ten seconds after SIGTERM, letting go of all else may take seven.
    command = [sys.executable, "-c", ENDING, tracing_url, str(waits)]
    return subprocess.run(command, check=False, timeout=8).returncode


def test_the_last_spans_are_sent_also_when_a_thread_is_left_behind() -> None:
    spans: list[Span] = []
    with collector(spans) as tracing_url:
        assert end(tracing_url, waits=60) == 0
    assert [(span.service, span.request) for span in spans] == [("horoscope-bot", "7")]


def test_a_collector_that_hangs_does_not_hold_up_the_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hangs:
        assert end(f"http://127.0.0.1:{hangs.getsockname()[1]}/v1/traces", waits=0) == 0
