"""Times training and the ablation on a GPU, at full size; compares recorded with plain steps.

Random numbers in the shapes of LLP's features, 10,000 / 649 / 1,200 videos. Each figure is added
to ``book/benchmarks_gpu.json`` as it is measured, the quick ones first. A run that is cut off is
continued by the same command; without the file all is measured anew. Without a GPU, ``--device
cpu --videos 40 --epochs 1`` shows that it runs; its figures mean nothing then.

    python tests/benchmarks/gpu.py
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import torch
from timing import seconds

from link.ablation import VALOR, variants
from link.capture import WARM_UP
from link.dataset import Dataset, Split
from link.errors import LinkError
from link.events import CLASSES, SEGMENTS
from link.files import write_whole
from link.model import LinkConfig
from link.stack import Stack, fit_stack, networks_at_once, seeds_of_stacks
from link.training import (
    Fitted,
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
OF_ABLATION, COMBINATIONS = f"ablation, s for {len(SEEDS)} seeds", 8


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
    """The largest relative difference of the losses of some epochs, recorded and plain.

    Each epoch ends with a smaller batch; of both sizes some are computed, recorded and replayed.
    """
    small = replace(dataset, train=dataset.train.subset(slice(0, 5 * config.batch_size + 7)))
    short = replace(config, epochs=WARM_UP + 3, warmup_epochs=1)
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


def ablation(dataset: Dataset, network: LinkConfig, config: TrainingConfig) -> list[Fitted]:
    """The networks of one variant as `link.ablation.run_ablation` trains them."""
    given = dataset, network, config
    return [
        fitted for part in seeds_of_stacks(*given, SEEDS) for fitted in fit_stack(*given, part)
    ]


Figures = Iterator[tuple[str, Callable[[], float]]]


def figures(dataset: Dataset, config: TrainingConfig) -> Figures:
    """Every figure's name, with what measures it."""
    network = fitting_config(dataset)
    yield (
        "recorded and plain steps, largest difference",
        partial(agreement, dataset, network, config),
    )
    modes = {"bfloat16": replace(config, mode="half"), "float32": replace(config, mode="fast")}
    for words, this in modes.items():
        given = dataset, network, this
        training = f"{config.epochs} epochs with validation, s, {words}"
        yield training, partial(seconds, partial(fit, *given))
        yield f"an epoch, times the plain loop in float32, {words}", partial(against_plain, *given)
        yield f"five networks, times one after another, {words}", partial(many, *given)
        yield f"networks at once, {words}", partial(networks_at_once, *given)
    for words, this in modes.items():
        for name, variant in variants(network).items():
            if name != VALOR:
                work = partial(ablation, dataset, variant, this)
                yield f"{OF_ABLATION}, {words}, {name}", partial(seconds, work)


def sums(found: dict[str, float]) -> dict[str, float]:
    """What the ablation's combinations take together, where all are measured."""
    parts = defaultdict(list)
    for name, value in found.items():
        if name.startswith(OF_ABLATION):
            parts[name.rpartition(",")[0]].append(value)
    return {name: sum(each) for name, each in parts.items() if len(each) == COMBINATIONS}


def measure(figures: Figures, machine: dict[str, object], out: Path | None) -> None:
    """Measure what the file, if there is one, does not have yet; print and keep it one by one.

    Raises
    ------
    LinkError
        If the file's figures are of another machine or of other sizes.
    """
    found: dict[str, float] = {}
    if out and out.exists():
        there = json.loads(out.read_text())
        if any(there["machine"].get(name) != machine[name] for name in machine if name != "when"):
            raise LinkError(f"{out} has figures of something else; move it, or name another --out")
        found = there["figures"]
    for name, work in figures:
        if name not in found:
            found[name] = work()
            print(f"{found[name]:10.3g}  {name}", flush=True)
            if out:
                content = {"machine": machine, "figures": found, "sums": sums(found)}
                text = json.dumps(content, indent=1) + "\n"
                write_whole(out, lambda file, text=text: file.write(text.encode()))
    for name, value in sums(found).items():
        print(f"{value:10.3g}  {name}, together")


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
        "epochs": asked.epochs,
        "torch": torch.__version__,
        "when": datetime.now(UTC).date().isoformat(),
        "aim": {"60 epochs, s": SIXTY_EPOCHS, "ablation, s": ABLATION},
    }
    config = TrainingConfig(device=asked.device, mode="fast", epochs=asked.epochs)
    try:
        measure(figures(random_dataset(asked.videos), config), machine, out)
    except LinkError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
