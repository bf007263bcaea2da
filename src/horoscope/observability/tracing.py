"""Traces: spans of one wish in bot and generator, joined across the broker by its headers.

Spans go nowhere until `start_tracing`, which needs the extra `tracing`.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from threading import Thread

from opentelemetry import trace
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import Span

from horoscope.errors import InputError

# A program that ends has ten seconds in all (program.py): a collector that hangs may not take them.
SEND_S = 2.0

_tracer = trace.get_tracer("horoscope")


def start_tracing(url: str | None, program: str) -> None:
    """Send spans to `url` from now on. Raises InputError if what sends them is not installed."""
    if not url:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise InputError(
            "HOROSCOPE_TRACING_URL needs the extra: pip install 'horoscope[tracing]'"
        ) from None
    resource = Resource.create({"service.name": f"horoscope-{program}"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    trace.set_tracer_provider(provider)


def stop_tracing() -> None:
    """Send the spans that are left, as far as that is done in SEND_S."""
    if shutdown := getattr(trace.get_tracer_provider(), "shutdown", None):
        sending = Thread(target=shutdown, daemon=True)
        sending.start()
        sending.join(SEND_S)


def span(
    name: str, request: str, came_with: Mapping[str, str] | None = None, lasted: float = 0.0
) -> AbstractContextManager[Span]:
    """A span about a request, which began `lasted` seconds ago.

    `came_with` are the headers of the message that it follows from.
    """
    return _tracer.start_as_current_span(
        name,
        context=extract(came_with) if came_with else None,
        attributes={"horoscope.request": request},
        start_time=time.time_ns() - int(lasted * 1e9),
    )


def headers() -> dict[str, str]:
    """The headers by which whoever gets a message joins the span that is open now."""
    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier
