"""What random kills and freezes cost: horoscopes lost, doubled, or sent to the wrong person.

    python benchmarks/failures.py [--rounds 20] [--requests 2000] [--seed N] [--json]

A real Kafka, one bot and two workers, each a process; people in a local Telegram ask all the time.
Each round kills (SIGKILL) or freezes (SIGSTOP, for up to 12 s: longer than a member of a group may
be silent) one of them at a random moment, and brings it back. First come the workers and Kafka,
then the bot. The workers' writer takes 10 ms a text: this is about what is lost, not about speed.
"""

import argparse
import asyncio
import itertools
import json
import random
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from failure_drill import Blow, Drill
from kafka_server import make_kafka
from kafka_system import System

from horoscope.demo.server import serving
from horoscope.demo.telegram import Telegram

LONGEST_FREEZE_S = 12.0
# So long a round is, about: by this the load is chosen that brings the requests in.
ROUND_S = 7.0
HOW = (signal.SIGKILL, signal.SIGSTOP)


async def part(
    victims: list[str], rounds: int, requests: int, chance: random.Random, directory: Path
) -> dict[str, object]:
    """Blows for some of the programs; what became of all that was asked meanwhile."""
    kafka = make_kafka(directory / "kafka")
    await asyncio.to_thread(kafka.start)
    telegram = Telegram()
    try:
        async with serving(telegram) as url:
            system = System(directory / "system", url, kafka.address)
            programs = [system.bot(), system.worker("worker-1"), system.worker("worker-2")]
            drill = Drill(telegram, kafka, programs, chance, requests / rounds / ROUND_S)
            kinds = list(itertools.product(victims, HOW))
            chance.shuffle(kinds)
            blows = [Blow(*kind) for kind in itertools.islice(itertools.cycle(kinds), rounds)]
            try:
                await drill.begin()
                for number, blow in enumerate(blows, 1):
                    await drill.strike(blow, LONGEST_FREEZE_S)
                    print(
                        f"  {number:2}/{rounds} {blow.how.name} {blow.victim}:"
                        f" {len(drill.people.wishes)} asked, {drill.people.waiting} wait",
                        file=sys.stderr,
                    )
                while len(drill.people.wishes) < requests:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                await drill.end(patience=120, settle_s=12)
            finally:
                await system.stop()
    finally:
        kafka.stop()
    kills = sum(blow.how is signal.SIGKILL for blow in blows)
    return {
        "victims": " ".join(victims),
        "kills": kills,
        "freezes": rounds - kills,
        **asdict(drill.people.outcome),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    first, asked = arguments.rounds // 2, arguments.requests // 2
    parts = []
    with tempfile.TemporaryDirectory(prefix="horoscope-failures-") as directory:
        for name, victims, rounds in (
            ("others", ["worker-1", "kafka", "worker-2"], first),
            ("bot", ["bot"], arguments.rounds - first),
        ):
            place = Path(directory) / name
            place.mkdir()
            parts.append(asyncio.run(part(victims, rounds, asked, chance, place)))
    if arguments.json:
        print(json.dumps({"seed": arguments.seed, "parts": parts}))
        return
    print(f"seed {arguments.seed}")
    print("| victims | kills | freezes | asked | lost | doubled | to the wrong person |")
    print("|---|---|---|---|---|---|---|")
    for each in parts:
        print("| " + " | ".join(str(value) for value in each.values()) + " |")


if __name__ == "__main__":
    main()
