"""How much memory it takes to open a store of full size, and to read a batch of it."""

import tracemalloc
from pathlib import Path

import numpy as np

from link.features import open_store
from link.inference import batches

BATCH = 64


def memory(store: Path) -> dict[str, float]:
    """What is allocated while a store is opened, and while a batch of random videos is read.

    Counted are allocations of Python and numpy. The pages of a mapped file are the system's, which
    takes them back when it needs them.
    """
    tracemalloc.start()
    dataset = open_store(store)
    opened, _ = tracemalloc.get_traced_memory()
    order = np.random.default_rng(0).permutation(len(dataset.train))
    parts = batches(dataset.train, BATCH, order=order)
    tracemalloc.reset_peak()
    batch = next(parts)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = sum(each.nbytes for each in batch if each is not None)
    return {
        "opening the store, MB allocated": opened / 1e6,
        "reading a batch, allocated, times its size": (peak - opened) / size,
    }
