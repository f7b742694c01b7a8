"""Times training and the ablation on a GPU, at full size, and compares recorded with plain steps.

Random numbers in the shapes of LLP's features, 10,000 / 649 / 1,200 videos. Writes
``book/benchmarks_gpu.json`` anew after each figure, the quick ones first, so that a run that is
cut off keeps what it has measured. Without a GPU, ``--device cpu --videos 40 --epochs 1`` shows
that it runs; its figures mean nothing then.

    python tests/benchmarks/gpu.py
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from timing import seconds

from link.ablation import run_ablation
from link.dataset import Dataset, Split
from link.events import CLASSES, SEGMENTS
from link.files import write_whole
from link.model import LinkConfig
from link.stack import Stack, networks_at_once
from link.training import (
    TrainingConfig,
    build,
    fast_training,
    fit,
    fitting_config,
    make_optimiser,
    plain_training,
)

ROOT = Path(__file__).parents[2]
#: What is aimed at, in seconds on one H100.
SIXTY_EPOCHS, ABLATION = 15.0, 180.0
SEEDS = range(5)


def random_dataset(videos: int) -> Dataset:
    """As many training videos as asked for, and validation and test in LLP's proportion."""
    random = np.random.default_rng(0)

    def split(size: int) -> Split:
        def label(*shape: int) -> np.ndarray:
            return random.random((size, *shape, len(CLASSES))) < 0.06

        features = {
            name: random.standard_normal((size, SEGMENTS, width), np.float32)
            for name, width in (("audio", 768), ("visual", 768), ("motion", 512))
        }
        labels = {
            f"{modality}_{kind}": label(SEGMENTS)
            for modality in ("audio", "visual")
            for kind in ("target", "prior", "truth")
        }
        names = tuple(f"{index:011d}_0_10" for index in range(size))
        return Split(names=names, weak=label(), **features, **labels)

    sizes = (videos, -(-videos * 649 // 10_000), -(-videos * 1_200 // 10_000))
    texts = {
        "audio_text": random.standard_normal((len(CLASSES), 512), np.float32),
        "visual_text": random.standard_normal((len(CLASSES), 768), np.float32),
    }
    train, val, test = map(split, sizes)
    return Dataset("random numbers", True, CLASSES, train, val, test, **texts)


def agreement(dataset: Dataset, network: LinkConfig, config: TrainingConfig) -> float:
    """The largest relative difference of the losses of two epochs, recorded and plain."""
    small = replace(dataset, train=dataset.train.subset(slice(0, 5 * config.batch_size + 7)))
    short = replace(config, epochs=2, warmup_epochs=1)
    still = replace(network, dropout=0.0)
    plain, fast = (
        fit(small, still, replace(short, mode=mode)).history for mode in ("plain", "fast")
    )
    return max(
        abs(found["loss"][name] / expected["loss"][name] - 1)
        for expected, found in zip(plain, fast, strict=True)
        for name in expected["loss"]
    )


Epoch = Callable[[], object]


def one_network(dataset: Dataset, network: LinkConfig, config: TrainingConfig) -> Epoch:
    """An epoch of a network, in the configuration's mode."""
    order = torch.Generator().manual_seed(0)
    model = build(network, dataset).to(config.device)
    way = plain_training if config.mode == "plain" else fast_training
    epoch, _ = way(model, make_optimiser(model, config), dataset, config)
    return lambda: epoch(config.learning_rate, order)


def times_faster(work: Epoch, baseline: Epoch) -> float:
    """How many times as long the baseline takes, of the second time of each."""
    work(), baseline()
    return seconds(baseline) / seconds(work)


def against_plain(dataset: Dataset, network: LinkConfig, config: TrainingConfig) -> float:
    """How many times faster an epoch is than the plain loop's."""
    modes = (config, replace(config, mode="plain"))
    return times_faster(*(one_network(dataset, network, each) for each in modes))


def many(dataset: Dataset, network: LinkConfig, config: TrainingConfig) -> float:
    """How many times faster an epoch of the seeds is as a stack than one after another."""
    stack = Stack(dataset, network, config, SEEDS)
    alone = one_network(dataset, network, config)
    return times_faster(
        lambda: stack.epoch(config.learning_rate), lambda: [alone() for _ in SEEDS]
    )


def figures(dataset: Dataset, config: TrainingConfig) -> Iterator[tuple[str, float]]:
    """Every figure with its name, as it is measured."""
    network = fitting_config(dataset)
    yield "recorded and plain steps, largest difference", agreement(dataset, network, config)
    modes = {"bfloat16": replace(config, mode="half"), "float32": replace(config, mode="fast")}
    for words, this in modes.items():
        took = seconds(lambda this=this: fit(dataset, network, this))
        yield f"{config.epochs} epochs with validation, s, {words}", took
        factor = against_plain(dataset, network, this)
        yield f"an epoch, times the plain loop in float32, {words}", factor
        factor = many(dataset, network, this)
        yield f"five networks, times one after another, {words}", factor
        yield f"networks at once, {words}", networks_at_once(dataset, network, this)
    for words, this in modes.items():
        took = seconds(lambda this=this: run_ablation(dataset, network, this, SEEDS))
        yield f"ablation of {len(SEEDS)} seeds, s, {words}", took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--videos", type=int, default=10_000, help="to train on")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--out", type=Path, help="JSON file; in the book, for a GPU")
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no GPU here; --device cpu with few --videos shows that it runs")
    out = asked.out or (ROOT / "book" / "benchmarks_gpu.json" if asked.device == "cuda" else None)
    machine = {
        "accelerator": torch.cuda.get_device_name() if asked.device == "cuda" else "none",
        "videos": asked.videos,
        "torch": torch.__version__,
        "when": datetime.now(UTC).date().isoformat(),
        "aim": {"60 epochs, s": SIXTY_EPOCHS, "ablation, s": ABLATION},
    }
    config = TrainingConfig(device=asked.device, mode="fast", epochs=asked.epochs)
    found: dict[str, float] = {}
    for name, value in figures(random_dataset(asked.videos), config):
        print(f"{value:10.3g}  {name}", flush=True)
        found[name] = value
        if out:
            result = json.dumps({"machine": machine, "figures": found}, indent=1) + "\n"
            write_whole(out, lambda file, result=result: file.write(result.encode()))


if __name__ == "__main__":
    main()
