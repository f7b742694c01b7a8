"""Seconds that works take, measured in turns."""

import time
from collections.abc import Callable

import torch

ROUNDS = 5


def shortest(works: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds of each work, done in turns, from its best turn; the first time does not count.

    A turn is as long for every work: quick ones are repeated until they took as long as the
    slowest, or they alone would profit from the moments in which the machine is quiet.
    """
    once = {name: min(seconds(work), seconds(work)) for name, work in works.items()}
    times = {name: max(1, round(max(once.values()) / each)) for name, each in once.items()}
    best = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            turn = seconds(lambda work=work, name=name: [work() for _ in range(times[name])])
            best[name] = min(best[name], turn / times[name])
    return best


def seconds(work: Callable[[], object]) -> float:
    """Of one time, until a GPU has done it, too."""
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started
