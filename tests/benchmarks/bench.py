"""Times the package against the published procedure and the machine's own limits.

Every figure is a ratio to a baseline measured in the same run, in turns, each the shortest of some
turns: seconds on a machine that others use too mean little. Adds this machine's figures to
``book/benchmarks.json``, in place of older ones of the like, and makes of it
``book/benchmarks.csv``, which the page on speed shows.

    python tests/benchmarks/bench.py [--device cuda]
"""

import argparse
import csv
import json
import platform
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from extraction import extraction
from made_up import annotations, as_dataset, full_size_store, published_files
from many import many
from memory import memory
from published import Network, Videos, evaluate, grid_of, loader, mean_scores, video_scores
from published import train_epoch as published_epoch
from timing import ROUNDS, shortest
from torch.utils.flop_counter import FlopCounterMode

from link.dataset import Dataset
from link.events import CLASSES
from link.features import open_store
from link.metrics import parsing_scores
from link.model import LinkConfig
from link.training import (
    TrainingConfig,
    build,
    fast_training,
    fitting_config,
    make_optimiser,
    plain_training,
)

ROOT = Path(__file__).parents[2]
#: As large a part of the real splits as takes a minute.
SIZES = {"train": 256, "val": 83, "test": 4}


def products_per_second(dtype: torch.dtype, device: str) -> float:
    """The machine's rate of matrix products at the network's sizes, in GFLOP/s."""
    features = torch.randn(640, 256, device=device).to(dtype)
    weight = torch.randn(256, 1024, device=device).to(dtype)
    at_once = 100  # since a GPU is waited for after each turn

    def multiply() -> None:
        for _ in range(at_once):
            features @ weight

    seconds = shortest({"products": multiply}, rounds=20)["products"]
    return at_once * 2 * 640 * 256 * 1024 / seconds / 1e9


class Ours:
    """A network of full size with its optimiser, trained an epoch at a time."""

    def __init__(self, dataset: Dataset, mode: str, device: str, network: LinkConfig) -> None:
        config = TrainingConfig(mode=mode, device=device)
        torch.manual_seed(0)
        model = build(network, dataset).to(device)
        way = plain_training if mode == "plain" else fast_training
        self.epoch, self.validate = way(model, make_optimiser(model, config), dataset, config)
        self.rate, self.order = config.learning_rate, torch.Generator().manual_seed(0)

    def train(self) -> dict[str, float]:
        return self.epoch(self.rate, self.order)

    def train_and_validate(self) -> None:
        self.train()
        self.validate()


def training(folder: Path, device: str) -> dict[str, float]:
    tables = published_files(folder, SIZES)
    marked = annotations(tables["val"])
    names = list(CLASSES)
    grids = {}
    for split in ("val", "test"):
        events = annotations(tables[split])
        grids[split] = [
            np.stack([grid_of(each, name, names).T for name in tables[split]["filename"]]) > 0
            for each in events
        ]
    dataset = as_dataset(folder, tables, grids)
    valor = replace(
        fitting_config(dataset), tsam=False, s_loss=False, plsim=False, unimodal_terms=False
    )

    torch.manual_seed(0)
    network = Network().to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-4, betas=(0.5, 0.999))
    batches = loader(Videos(folder, tables["train"], names), 64, True)
    validation = Videos(folder, tables["val"], names)

    def published_epoch_and_validation() -> None:
        published_epoch(network, batches, optimiser)
        evaluate(network, validation, marked)

    ours = {mode: Ours(dataset, mode, device, valor) for mode in ("plain", "fast", "half")}
    link = Ours(dataset, "fast", device, fitting_config(dataset))
    seconds = shortest(
        {
            "published": lambda: published_epoch(network, batches, optimiser),
            **{mode: each.train for mode, each in ours.items()},
            "link": link.train,
        },
        rounds=4,
    )
    whole = shortest(
        {
            "published": published_epoch_and_validation,
            **{mode: each.train_and_validate for mode, each in ours.items()},
        },
        rounds=4,
    )
    counter = FlopCounterMode(display=False)
    with counter:
        ours["plain"].train()
    per_video = counter.get_total_flops() / SIZES["train"]
    videos = SIZES["train"]
    found = {"training, videos/s, published procedure": videos / seconds["published"]}
    for mode, words in (("plain", "plain loop"), ("fast", "fast"), ("half", "fast, bfloat16")):
        found[f"training, videos/s, {words}"] = videos / seconds[mode]
        found[f"training, times the published procedure, {words}"] = (
            seconds["published"] / seconds[mode]
        )
        found[f"epoch with validation, times the published procedure, {words}"] = (
            whole["published"] / whole[mode]
        )
    for dtype, mode in ((torch.float32, "fast"), (torch.bfloat16, "half")):
        rate = products_per_second(dtype, device)
        name = str(dtype).removeprefix("torch.")
        found[f"matrix products, GFLOP/s, {name}"] = rate
        found[f"training, share of the products' rate, {name}"] = (
            per_video * videos / seconds[mode] / (rate * 1e9)
        )
    found["training, GFLOP of products a video"] = per_video / 1e9
    found["LINK's step, times VALOR++'s"] = seconds["link"] / seconds["fast"]
    return found


def scores() -> dict[str, float]:
    random = np.random.default_rng(0)
    grids = [random.random((1200, 10, 25)) < 0.06 for _ in range(4)]

    def one_by_one() -> dict[str, float]:
        by_class = [grid.transpose(0, 2, 1).astype(int) for grid in grids]
        return mean_scores([video_scores(*each) for each in zip(*by_class, strict=True)])

    expected, found = one_by_one(), parsing_scores(*grids)
    for name, value in expected.items():
        assert abs(found[name] - value) < 1e-9, name
    took = shortest({"loop": one_by_one, "ours": lambda: parsing_scores(*grids)})
    return {
        "scores of 1,200 videos, ms": 1e3 * took["ours"],
        "scores, times the loop": took["loop"] / took["ours"],
    }


def store(folder: Path) -> dict[str, float]:
    path = full_size_store(folder / "store")
    seconds = shortest({"open": lambda: open_store(path)}, rounds=5)["open"]
    return {"opening a store of 11,849 videos, ms": 1e3 * seconds}


def start_up() -> dict[str, float]:
    def run(*arguments: str) -> str:
        call = [sys.executable, *arguments]
        return subprocess.run(call, check=True, capture_output=True, text=True, cwd=ROOT).stdout

    timed = (
        "import time, torch; started = time.perf_counter(); import link.model, link.training; "
        "print(time.perf_counter() - started)"
    )
    return {
        "the command's help, s": shortest({"help": lambda: run("-m", "link", "--help")})["help"],
        "importing link beside torch, s": min(float(run("-c", timed)) for _ in range(ROUNDS)),
    }


def machine(device: str) -> dict[str, str]:
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        processor = next(
            (line.split(":")[1].strip() for line in lines if line.startswith("model name")),
            processor,
        )
    return {
        "processor": f"{processor}, {torch.get_num_threads()} threads",
        "accelerator": torch.cuda.get_device_name() if device != "cpu" else "none",
        "torch": torch.__version__,
        "when": datetime.now(UTC).date().isoformat(),
    }


def keep(machine: dict[str, str], figures: dict[str, float], path: Path) -> None:
    """Put a machine's figures first in a file, in place of its older ones, and write its table."""
    runs = json.loads(path.read_text()) if path.exists() else []
    like = ("processor", "accelerator")
    others = [run for run in runs if any(run["machine"][x] != machine[x] for x in like)]
    runs = [{"machine": machine, "figures": figures}, *others]
    path.write_text(json.dumps(runs, indent=1) + "\n")
    with open(path.with_suffix(".csv"), "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("figure", *(run["machine"]["processor"] for run in runs)))
        for name in dict.fromkeys(name for run in runs for name in run["figures"]):
            found = (run["figures"].get(name) for run in runs)
            rows.writerow((name, *("" if value is None else f"{value:.3g}" for value in found)))
        for name in ("accelerator", "torch", "when"):
            rows.writerow((name, *(run["machine"][name] for run in runs)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=ROOT / "book" / "benchmarks.json")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = training(folder / "published", asked.device)
        found |= scores() | store(folder) | memory(folder / "store") | start_up()
        found |= many() | extraction(folder / "clips", asked.device)
    for name, value in found.items():
        print(f"{value:10.3g}  {name}")
    keep(machine(asked.device), found, asked.out)


if __name__ == "__main__":
    main()
