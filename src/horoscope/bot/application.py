"""The whole product in one process: bot, broker and worker."""

from horoscope.settings import Settings


async def run_all(settings: Settings) -> None:
    """Run until cancelled; cancelled, finish what is in flight within ten seconds."""
    raise NotImplementedError
