"""All that the programs count, for Prometheus at GET /metrics; docs/operations.md reads it."""

from collections.abc import Iterator, Mapping

from aiohttp import web
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 600)

# A second series for each, of which nothing here makes use.
disable_created_metrics()  # type: ignore[no-untyped-call]

# The bot.
REQUESTS = Counter("horoscope_requests", "Wishes that were made durable.", ["source"])
REFUSED = Counter("horoscope_refused", "Wishes that a limit refused, by the limit.", ["reason"])
ANSWERS = Counter("horoscope_answers", "Horoscopes that Telegram took.")
ANSWER_SECONDS = Histogram(
    "horoscope_answer_seconds", "From a wish to its answer in Telegram.", buckets=SECONDS
)
DELIVERIES_IN_FLIGHT = Gauge("horoscope_deliveries_in_flight", "Replies on their way to Telegram.")
TELEGRAM_CALLS = Counter("horoscope_telegram_calls", "Calls to Telegram, by method.", ["method"])
TELEGRAM_ERRORS = Counter(
    "horoscope_telegram_errors",
    "Calls that Telegram refused, by its code; `network` is no answer at all.",
    ["code"],
)

# The generator.
QUEUE_SECONDS = Histogram(
    "horoscope_queue_seconds", "From a wish until somebody writes for it.", buckets=SECONDS
)
GENERATION_SECONDS = Histogram(
    "horoscope_generation_seconds", "From the start of writing to the text.", buckets=SECONDS
)
WRITING_SECONDS = Counter("horoscope_writing_seconds", "Time in which the model wrote.")
TOKENS = Counter("horoscope_tokens", "Tokens of the texts that were written.")
BATCH_REQUESTS = Histogram(
    "horoscope_batch_requests", "Wishes taken together.", buckets=(1, 2, 4, 8, 16, 24, 32)
)
REQUESTS_IN_FLIGHT = Gauge("horoscope_requests_in_flight", "Wishes that are being written for.")

# Both.
READY = Gauge("horoscope_ready", "1 if the program does its work, as /ready says.")
FAILURES = Counter("horoscope_failures", "Wishes that end without a horoscope, by why.", ["cause"])
LAG = Gauge("horoscope_lag", "Messages that wait in the partitions of this program.", ["topic"])


class Refusals(Collector):
    """How often the guard refused a sentence, as the generator counts it."""

    def __init__(self, refusals: Mapping[str, int]) -> None:
        self._refusals = refusals

    def collect(self) -> Iterator[Metric]:
        """One counter for each reason."""
        family = CounterMetricFamily(
            "horoscope_guard_refusals",
            "Sentences drawn again.",
            labels=["reason"],
        )
        for reason, count in self._refusals.items():
            family.add_metric([reason], count)
        yield family


def watch_refusals(refusals: Mapping[str, int]) -> None:
    """Show what a generator counts from now on."""
    REGISTRY.register(Refusals(refusals))


async def metrics(_: web.Request) -> web.Response:
    """Answer GET /metrics."""
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
