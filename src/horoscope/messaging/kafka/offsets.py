"""What of a partition is done, when things are done in another order than they came.

Kafka keeps one number for a group and a partition: everything before it is done. What is done
beyond it goes into the note that Kafka keeps beside the number, so that it does not come again.
"""

import re
from collections.abc import Iterable

# Kafka takes notes of 4096 bytes by default.
LONGEST_NOTE = 4000
NOTE = re.compile(r"(\d{1,18}):((?:\d{1,18}-\d{1,18}(?:,(?!$)|$))*)", re.ASCII)


class Offsets:
    """The offsets of one partition that are under way, and those that are done."""

    def __init__(self, committed: int = 0, note: str | None = None) -> None:
        self.taken: set[int] = set()
        """Those under way that somebody works on."""
        self._under_way: set[int] = set()
        self._next = committed  # after the last that came
        # Of what has not come yet, the last owner did all before `_done_until` except `_undone`.
        self._done_until, self._undone = _read(committed, note or "")

    def begin(self, offset: int) -> bool:
        """Note an offset that came; False if it is under way, or was done before."""
        if offset < self._next:  # the partition is read once more; better too often than never
            is_new = offset not in self._under_way
        else:
            self._next = offset + 1
            self._undone = [each for each in self._undone if each.stop > offset]
            is_new = offset >= self._done_until or any(offset in each for each in self._undone)
        if is_new:
            self._under_way.add(offset)
        return is_new

    def done(self, offset: int) -> None:
        """Note that an offset is done."""
        self._under_way.discard(offset)
        self.taken.discard(offset)

    def position(self) -> tuple[int, str]:
        """What to commit: all before the number is done, and of the rest what the note says.

        The note is "LENGTH:UNDONE": of the LENGTH offsets from the number on, those are not done
        that UNDONE names as first and last distances from the number ("0-0,3-5").
        """
        until = max(self._next, self._done_until)
        undone = _joined(sorted(self._under_way))
        undone += [
            range(max(each.start, self._next), each.stop)
            for each in self._undone
            if each.stop > self._next
        ]
        while undone and undone[-1].stop == until:  # nothing is done beyond these
            until = undone.pop().start
        if not undone:
            return until, ""
        first = undone[0].start
        parts: list[str] = []
        room = LONGEST_NOTE - 20  # for LENGTH
        for each in undone:
            part = f"{each.start - first}-{each.stop - 1 - first}"
            room -= len(part) + 1
            if room < 0:  # what does not fit comes again
                until = each.start
                break
            parts.append(part)
        return first, f"{until - first}:{','.join(parts)}"


def _read(committed: int, note: str) -> tuple[int, list[range]]:
    said = NOTE.fullmatch(note)
    if not said:  # a note of somebody else: what is done beyond the number comes again
        return committed, []
    pairs = [part.split("-") for part in said[2].split(",") if part]
    undone = [range(committed + int(first), committed + int(last) + 1) for first, last in pairs]
    return committed + int(said[1]), undone


def _joined(offsets: Iterable[int]) -> list[range]:
    """Ascending offsets as ranges."""
    joined: list[range] = []
    for offset in offsets:
        if joined and joined[-1].stop == offset:
            joined[-1] = range(joined[-1].start, offset + 1)
        else:
            joined.append(range(offset, offset + 1))
    return joined
