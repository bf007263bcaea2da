"""The worker: takes requests that wait together, has them written in one batch, sends replies."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from horoscope.generation.draft import Horoscope, Wish
from horoscope.messaging.broker import Broker, Delivery, batches
from horoscope.messaging.messages import (
    ErrorCode,
    HoroscopePart,
    HoroscopeReply,
    HoroscopeRequest,
    StopRequest,
    Timings,
)
from horoscope.observability import metrics, tracing
from horoscope.observability.logs import about
from horoscope.patience import insist

logger = logging.getLogger(__name__)

BATCH = 32
ATTEMPTS = 3
REMEMBERED_STOPS = 1000
REMEMBERED_TEXTS = 1000  # of the day: 36 a date


class Writer(Protocol):
    """What writes: HoroscopeGenerator. Calls block, one at a time."""

    @property
    def name(self) -> str:
        """What the model calls itself."""

    def write(
        self, wishes: Sequence[Wish], on_sentence: Callable[[int, str], bool] | None = None
    ) -> list[Horoscope]:
        """One batch; `on_sentence(index, text so far)` returns False to stop that text."""


@dataclass
class _Job:
    """A request on its way through a batch."""

    delivery: Delivery[HoroscopeRequest]
    begun: float  # time.monotonic()
    horoscope: Horoscope | None = None
    failures: int = 0  # of its own
    error: str = ""  # why there is no text so far

    @property
    def request(self) -> HoroscopeRequest:
        return self.delivery.message

    @property
    def wish(self) -> Wish:
        # The same wish gives the same text, so a wish that failed is tried with another seed;
        # the horoscope of the day is the same for everyone in this way, too.
        seed = self.request.seed
        if self.failures:
            seed = (seed or 0) + self.failures
        return Wish(self.request.sign, self.request.topic, self.request.date, seed)

    def fail(self, error: str) -> None:
        self.failures += 1
        self.error = error


class Worker:
    """Answers requests from a broker with what a Writer writes."""

    def __init__(self, broker: Broker, writer: Writer) -> None:
        self._broker = broker
        self._writer = writer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._stopped: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._of_the_day: OrderedDict[Wish, Horoscope] = OrderedDict()
        self._publishing: set[asyncio.Future[None]] = set()

    async def run(self) -> None:
        """Work until cancelled; a batch that is being written then is finished and sent first."""
        requests = self._broker.subscribe(HoroscopeRequest, BATCH)
        listening = asyncio.create_task(self._listen_for_stops())
        batch: asyncio.Task[None] | None = None
        try:
            async for taken in batches(requests):
                batch = asyncio.create_task(self._work_off(taken))
                await asyncio.shield(batch)
        finally:
            if batch:
                await batch
            listening.cancel()
            await requests.close()
            self._thread.shutdown(wait=False)

    async def _listen_for_stops(self) -> None:
        stops = self._broker.subscribe(StopRequest, BATCH)
        try:
            async for taken in batches(stops):
                for delivery in taken:
                    stop = delivery.message
                    self._stopped[stop.chat_id, stop.draft_id] = None
                    if len(self._stopped) > REMEMBERED_STOPS:
                        self._stopped.popitem(last=False)
        finally:
            await stops.close()

    async def _work_off(self, deliveries: Sequence[Delivery[HoroscopeRequest]]) -> None:
        now = datetime.now(UTC)
        jobs = []
        for delivery in deliveries:
            if delivery.message.expired(now):
                await self._apologise(delivery, ErrorCode.EXPIRED, "expired before it was its turn")
            else:
                jobs.append(_Job(delivery, time.monotonic()))
        metrics.BATCH_REQUESTS.observe(len(jobs))
        metrics.REQUESTS_IN_FLIGHT.set(len(jobs))
        await self._write(jobs)
        await asyncio.gather(*map(self._reply, jobs))
        metrics.REQUESTS_IN_FLIGHT.set(0)

    async def _write(self, jobs: list[_Job]) -> None:
        asked = [job.wish for job in jobs]
        for job in jobs:
            job.horoscope = self._of_the_day.get(job.wish)
        if waiting := [job for job in jobs if not job.horoscope]:
            await self._attempt(waiting)
        for job in waiting:
            while not job.horoscope and job.failures < ATTEMPTS:
                await self._attempt([job])
        for job, wish in zip(jobs, asked, strict=True):
            if job.horoscope and job.horoscope.finished and wish.seed is None:
                self._of_the_day[wish] = job.horoscope
                if len(self._of_the_day) > REMEMBERED_TEXTS:
                    self._of_the_day.popitem(last=False)

    async def _attempt(self, jobs: list[_Job]) -> None:
        loop = asyncio.get_running_loop()
        # Wishes that are equal (the horoscope of the day) are one wish of several people; a
        # person's stop ends only a text that nobody else waits for.
        askers: dict[Wish, list[_Job]] = {}
        for job in jobs:
            askers.setdefault(job.wish, []).append(job)
        wishes = list(askers)

        def on_sentence(index: int, text: str) -> bool:
            watching = askers[wishes[index]]
            for job in watching:
                if job.request.stream:
                    loop.call_soon_threadsafe(self._publish_part, job.request, text)
            return not all(self._is_stopped(job.request) for job in watching)

        begun = time.monotonic()
        try:
            horoscopes = await loop.run_in_executor(
                self._thread, partial(self._writer.write, wishes, on_sentence)
            )
        except Exception as error:  # whatever a model raises, the worker lives on
            reason = f"{type(error).__name__}: {error}"
            logger.warning("a batch of %d failed: %s", len(jobs), reason)
            if len(jobs) == 1:  # of several, nobody knows whose fault it was
                jobs[0].fail(reason)
            return
        finally:
            metrics.WRITING_SECONDS.inc(time.monotonic() - begun)
        metrics.TOKENS.inc(sum(horoscope.tokens for horoscope in horoscopes))
        for wish, horoscope in zip(wishes, horoscopes, strict=True):
            for job in askers[wish]:
                if horoscope.text:
                    job.horoscope = horoscope
                else:
                    job.fail("the model wrote nothing that may be shown")

    def _is_stopped(self, request: HoroscopeRequest) -> bool:
        address = request.address
        return address.draft_id is not None and (
            (address.chat_id, address.draft_id) in self._stopped
        )

    def _publish_part(self, request: HoroscopeRequest, text: str) -> None:
        publishing = asyncio.ensure_future(
            self._broker.publish(HoroscopePart(request=request, text=text))
        )
        self._publishing.add(publishing)  # the event loop keeps only weak references
        publishing.add_done_callback(self._publishing.discard)

    async def _reply(self, job: _Job) -> None:
        horoscope = job.horoscope
        if horoscope is None:
            await self._apologise(job.delivery, ErrorCode.GENERATION_FAILED, job.error)
            return
        waited = datetime.now(UTC) - job.request.created_at
        generated = time.monotonic() - job.begun
        queued = max(0.0, waited.total_seconds() - generated)
        reply = HoroscopeReply(
            request=job.request,
            text=horoscope.text,
            stopped=not horoscope.finished,
            model=self._writer.name,
            tokens=horoscope.tokens,
            timings=Timings(queued=queued, generated=generated),
        )
        request = job.request.id
        with tracing.span("write", request, job.delivery.headers, lasted=generated):
            await insist(lambda: self._broker.publish(reply))
        await insist(job.delivery.done)
        metrics.QUEUE_SECONDS.observe(queued)
        metrics.GENERATION_SECONDS.observe(generated)
        logger.info("request %s written in %.3f s", request, generated, extra=about(request))

    async def _apologise(
        self, delivery: Delivery[HoroscopeRequest], error: ErrorCode, reason: str
    ) -> None:
        reply = HoroscopeReply(request=delivery.message, error=error, model=self._writer.name)
        await insist(lambda: self._broker.publish(reply))
        await insist(lambda: delivery.reject(reason))
        metrics.FAILURES.labels(error.value).inc()
        request = delivery.message.id
        logger.warning("request %s has no text: %s", request, reason, extra=about(request))
