"""Seconds that works take, measured in turns."""

import time
from collections.abc import Callable

import torch

ROUNDS = 5


def shortest(works: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds of each work, done in turns; the first time does not count."""
    for work in works.values():
        work()
    best = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            best[name] = min(best[name], seconds(work))
    return best


def seconds(work: Callable[[], object]) -> float:
    """Of one time, until a GPU has done it, too."""
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started
