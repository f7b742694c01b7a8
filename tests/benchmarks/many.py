"""How much faster the networks of an ablation train as stacks than one after another."""

from collections.abc import Callable
from unittest.mock import patch

import torch
from timing import seconds, shortest

from link.ablation import run_ablation
from link.presets import open_dataset, usual_network, usual_training
from link.stack import Stack
from link.training import build, fast_training, make_optimiser

SEEDS = range(8)
STACKED = range(16)


def many() -> dict[str, float]:
    """At the book's size, on llp-sim, on the processor: epochs with validation, and a whole grid.

    The grid has VALOR++ and the four combinations without PLSIM, for three epochs.
    """
    dataset = open_dataset("llp-sim")
    network, training = usual_network(dataset), usual_training(dataset, mode="fast", epochs=3)
    rate = training.learning_rate
    stack = Stack(dataset, network, training, STACKED)
    order = torch.Generator().manual_seed(0)
    model = build(network, dataset)
    epoch, validate = fast_training(model, make_optimiser(model, training), dataset, training)

    def stacked() -> None:
        stack.epoch(rate)
        stack.validate()

    def alone() -> None:
        for _ in STACKED:
            epoch(rate, order)
            validate()

    before, timed = torch.get_num_threads(), {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        timed[threads] = shortest({"alone": alone, "stacked": stacked}, rounds=3)
    torch.set_num_threads(before)
    best_alone, found = min(each["alone"] for each in timed.values()), {}
    for threads, each in timed.items():
        name = f"{len(STACKED)} networks, times one after another, stacked, {threads} thread(s)"
        found[name] = best_alone / each["stacked"]

    without = usual_network(dataset, plsim=False)

    def grid(jobs: int) -> Callable[[], object]:
        return lambda: run_ablation(dataset, without, training, SEEDS, jobs)

    with patch("link.stack.networks_at_once", lambda *_: 1):
        one_by_one, two_at_a_time = seconds(grid(1)), seconds(grid(2))
    of_grid = f"{5 * len(SEEDS)} networks, times one after another"
    found[f"{of_grid}, two at a time"] = one_by_one / two_at_a_time
    found[f"{of_grid}, two stacks at a time"] = one_by_one / seconds(grid(2))
    return found
