"""The book's longer experiments: `make experiments` runs them, chapters read what it stored.

An experiment trains variants of the network under conditions of llp-sim, each from several seeds,
and measures every network on the test split. Its results lie in ``results``, a JSON file each,
with what they came from. Chapters show them, and repeat a small part with a seed that is not among
them (`repeat`), which has to fall where the stored results predict it (`predicted`).

    python notebooks/experiments.py [ablation draws misalignment noise teachers precision]
"""

# First, so that results come out again elsewhere: it holds torch to what all processors have.
from link.notebook import chapter_network, chapter_training

import argparse
import json
import multiprocessing
import subprocess
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from link.ablation import BASELINE, VALOR, Record, variants
from link.class_scores import pooled_scores
from link.dataset import Dataset, Split
from link.files import write_whole
from link.inference import batches, evaluate, predict
from link.intervals import Interval, interval
from link.losses import label_overlap, segment_similarity
from link.model import LINK, LinkConfig
from link.probes import copied_events, similarity_agreement
from link.runs import versions
from link.simulation import SimulationConfig, simulate
from link.stack import fit_stack
from link.training import TrainingConfig

RESULTS = Path(__file__).parent / "results"

#: Three times the book's epochs, after which the validation score hardly moves.
EPOCHS = 24
WARMUP = 3

#: Networks in a stack.
AT_ONCE = 8

#: The draw of llp-sim that the book's chapters are about.
BOOK = SimulationConfig().seed

LINK_NAME = "TSAM + S-LOSS + PLSIM"
UNCROSSED = "no cross-modal attention"
WORDLESS = "PLSIM without words"
CONSTANT, KEPT = "S-LOSS, weight 1", "S-LOSS, kept weight"

#: Of each check of stored results by one more seed. Chapters make four such checks, and together
#: they are to fail by chance in less than one book of twenty.
LEVEL = 0.99

#: What the name of a variant ends with if its products are in bfloat16.
HALF = " in bfloat16"


@dataclass(frozen=True)
class Experiment:
    """Variants of the network, under several conditions, from several seeds.

    ``variants`` are names of :func:`networks`, and each condition is a set of settings of llp-sim.
    If ``redrawn``, each seed is also that of a draw of the data (:func:`drawn`), so that intervals
    over seeds are over other videos as well. Otherwise every network sees the book's videos.
    """

    variants: tuple[str, ...]
    seeds: range
    conditions: tuple[dict[str, float], ...] = ({},)
    redrawn: bool = False

    def draw(self, seed: int) -> int:
        """The draw of the data that networks from this seed see."""
        return seed if self.redrawn else BOOK


MODULES = (BASELINE, "TSAM", "S-LOSS", "PLSIM", LINK_NAME)
COMBINATIONS = ("TSAM + S-LOSS", "TSAM + PLSIM", "S-LOSS + PLSIM")
EXPERIMENTS = {
    "ablation": Experiment(
        (VALOR, *MODULES, *COMBINATIONS, UNCROSSED, WORDLESS, CONSTANT, KEPT), range(8)
    ),
    "draws": Experiment(
        (VALOR, *MODULES, *COMBINATIONS, UNCROSSED, WORDLESS), range(1, 13), redrawn=True
    ),
    "misalignment": Experiment(
        (*MODULES, UNCROSSED),
        range(1, 9),
        tuple({"misalignment": level} for level in (0.0, 0.5, 1.0, 1.5, 2.0)),
        redrawn=True,
    ),
    "noise": Experiment(
        (BASELINE, "TSAM", "S-LOSS", "PLSIM", LINK_NAME, UNCROSSED),
        range(1, 9),
        tuple(
            {"misalignment": level, "noise_audio": audio, "noise_visual": visual}
            for level, audio, visual in ((0.0, 2.475, 1.8), (0.0, 3.3, 2.4), (1.0, 2.475, 1.8))
        ),
        redrawn=True,
    ),
    "teachers": Experiment(
        (BASELINE, "PLSIM"),
        range(1, 9),
        tuple({"teacher_error": error} for error in (0.0, 0.35, 0.7, 1.05, 1.4)),
        redrawn=True,
    ),
    "precision": Experiment((VALOR, VALOR + HALF), range(144)),
}


def networks(dataset: Dataset) -> dict[str, LinkConfig]:
    """Every variant that an experiment may name."""
    usual = chapter_network(dataset)
    named = variants(usual)
    with_loss = named["S-LOSS"]
    return {
        **named,
        UNCROSSED: replace(named[BASELINE], cross_modal=False),
        WORDLESS: named["PLSIM"],
        CONSTANT: replace(with_loss, initial_mu=1.0),
        KEPT: replace(with_loss, keep_weight=True),
    }


def wordless(dataset: Dataset) -> Dataset:
    """The data set with empty priors, of which PLSIM learns what it can without a word."""

    def mute(split: Split) -> Split:
        nothing = np.zeros_like(split.audio_prior)
        return replace(split, audio_prior=nothing, visual_prior=nothing)

    return replace(dataset, **{name: mute(split) for name, split in dataset.splits().items()})


def settings(dataset: Dataset, variant: str = "") -> TrainingConfig:
    """How a network of an experiment is trained."""
    mode = "half" if variant.endswith(HALF) else "fast"
    return chapter_training(dataset, mode=mode, epochs=EPOCHS, warmup_epochs=WARMUP)


@lru_cache(maxsize=1)
def drawn(draw: int, **condition: float) -> Dataset:
    """llp-sim under a condition, which several variants are trained on in turn.

    ``draw`` is the data set's own seed; the condition holds other settings of
    `link.simulation.SimulationConfig`.
    """
    return simulate(SimulationConfig(seed=draw, **condition))


def trained(
    variant: str, condition: dict[str, float], draw: int, seeds: Sequence[int]
) -> list[dict]:
    """Train one variant from every seed on a draw, and measure each network on its test split."""
    torch.set_num_threads(1)
    dataset = drawn(draw, **condition)
    if variant == WORDLESS:
        dataset = wordless(dataset)
    network = networks(dataset)[variant.removesuffix(HALF)]
    fits = fit_stack(dataset, network, settings(dataset, variant), seeds)
    return [
        {
            "variant": variant,
            **condition,
            "seed": seed,
            "best_epoch": fitted.best_epoch,
            "scores": fitted.scores["test"],
            "validation": [record["val"]["segment/type"] for record in fitted.history],
            "scalars": fitted.history[-1]["scalars"],
            "mu": [r["scalars"]["mu"] for r in fitted.history if "mu" in r["scalars"]],
            **measured(fitted.model, dataset),
        }
        for seed, fitted in zip(seeds, fits, strict=True)
    ]


def measured(model: LINK, dataset: Dataset) -> dict:
    """What the ten scores leave open: per class, copied events, similarities, the leak."""
    test = dataset.test
    found = predict(model, test)
    truth = test.audio_truth, test.visual_truth
    result = {
        "class_f": {
            modality: f_by_class(said, true)
            for modality, said, true in zip(
                ("audio", "visual"), (found.audio, found.visual), truth, strict=True
            )
        },
        "copied": copied_events(found.audio, found.visual, *truth),
        "agreement": dict(
            zip(("all pairs", "within videos"), agreement(model, dataset), strict=True)
        ),
    }
    if model.config.plsim and test.audio_prior.any():
        told = replace(test, audio_prior=test.audio_target, visual_prior=test.visual_target)
        result["leak"] = evaluate(model, told)
    return result


def agreement(model: LINK, dataset: Dataset) -> tuple[float, float]:
    """`link.probes.similarity_agreement` with the overlaps of the true labels."""
    with torch.no_grad():
        outputs = [model(*batch.inputs) for batch in batches(dataset.test, 256)]
    similarity = torch.cat([segment_similarity(each.audio, each.visual) for each in outputs])
    truth = (
        torch.from_numpy(dataset.test.audio_truth),
        torch.from_numpy(dataset.test.visual_truth),
    )
    return similarity_agreement(similarity, *label_overlap(*truth))


def f_by_class(said: np.ndarray, true: np.ndarray) -> list[float | None]:
    """`link.class_scores.pooled_scores`, with None for what is undefined, as JSON has no NaN."""
    return [None if np.isnan(value) else value for value in pooled_scores(said, true).tolist()]


def run(name: str, jobs: int = 2) -> dict:
    """Run an experiment, and return its records with what they came from."""
    experiment = EXPERIMENTS[name]
    # Before the training, during which somebody may change the files.
    code, started = commit(), time.perf_counter()
    seeds = list(experiment.seeds)
    # Only networks that see the same videos can be stacked.
    size = 1 if experiment.redrawn else AT_ONCE
    groups = [seeds[start : start + size] for start in range(0, len(seeds), size)]
    work = [
        (variant, condition, experiment.draw(group[0]), group)
        for condition in experiment.conditions
        for group in groups
        for variant in experiment.variants
    ]
    total = len(seeds) * len(experiment.conditions) * len(experiment.variants)
    spawn = multiprocessing.get_context("spawn")
    records = []
    with ProcessPoolExecutor(jobs, spawn) as pool:
        for found in pool.map(trained, *zip(*work, strict=True)):
            records += found
            print(f"{name}: {len(records)} of {total}", flush=True)
    usual = drawn(BOOK)
    return {
        "provenance": {
            "experiment": name,
            "data": "llp-sim, simulated",
            "seeds": seeds,
            "redrawn": experiment.redrawn,
            "commit": code,
            "when": datetime.now(UTC).date().isoformat(),
            "minutes": round((time.perf_counter() - started) / 60, 1),
            "jobs": jobs,
            "versions": versions(),
            "simulation": asdict(SimulationConfig()),
            "network": asdict(chapter_network(usual)),
            "training": asdict(settings(usual)),
        },
        "records": rounded(records),
    }


def commit() -> str:
    """The commit that the code is at, with a word if files differ from it."""

    def git(*arguments: str) -> str:
        call = ["git", *arguments]
        found = subprocess.run(call, capture_output=True, text=True, cwd=RESULTS.parent)
        return found.stdout.strip()

    changed = git("status", "--porcelain", "--", "../link", "experiments.py")
    return git("rev-parse", "HEAD") + (" with changes" if changed else "")


def rounded(thing):
    """The same with three decimals: more would be noise, and large files."""
    if isinstance(thing, dict):
        return {name: rounded(value) for name, value in thing.items()}
    if isinstance(thing, list):
        return [rounded(value) for value in thing]
    return round(thing, 3) if isinstance(thing, float) else thing


def store(name: str, result: dict) -> None:
    """Write an experiment's results, a line a record."""
    lines = ",\n".join(json.dumps(record) for record in result["records"])
    provenance = json.dumps(result["provenance"], indent=1)
    text = f'{{"provenance": {provenance},\n"records": [\n{lines}\n]}}\n'
    write_whole(RESULTS / f"{name}.json", lambda file: file.write(text.encode()))


# ---- for the chapters ----


class Stored:
    """A stored experiment: ``records``, and ``provenance``."""

    def __init__(self, name: str) -> None:
        content = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        self.name, self.records = name, content["records"]
        self.provenance = content["provenance"]
        self.experiment = EXPERIMENTS[name]

    def __str__(self) -> str:
        """Three lines that say where the numbers come from."""
        p, machine = self.provenance, self.provenance["versions"]
        code = p["commit"][:10] + p["commit"][40:]
        each = f"{len(p['seeds'])} seeds each"
        if self.experiment.redrawn:
            each += ", every seed on a draw of its own"
        return (
            f"stored results of `make experiments`, {p['data']}:\n"
            f"{len(self.records)} networks, {p['training']['epochs']} epochs, {each}\n"
            f"commit {code}, {p['when']}, torch {machine['torch']}, "
            f"{p['jobs']} jobs of one thread, {p['minutes']} minutes"
        )

    def where(self, **labels) -> list[dict]:
        """The records with these labels, in the order of their seeds."""
        return [
            record
            for record in self.records
            if all(record[name] == value for name, value in labels.items())
        ]

    def values(self, score: str, **labels) -> np.ndarray:
        """One of the ten scores of the records with these labels, by seed."""
        return np.array([record["scores"][score] for record in self.where(**labels)])

    def ablation(self, names: Iterable[str]) -> list[Record]:
        """The records of these variants as `link.ablation` has them."""
        return [
            Record(name, record["seed"], record["scores"], record["best_epoch"])
            for name in names
            for record in self.where(variant=name)
        ]

    def repeat(self, variant: str, baseline: str, score: str, **condition: float) -> str:
        """Train two variants from a seed that is not stored, and say how they differ.

        Raises AssertionError if that is not where the stored differences predict it.
        """
        seed = max(self.provenance["seeds"]) + 1
        draw = self.experiment.draw(seed)
        here = {
            name: trained(name, condition, draw, [seed])[0]["scores"][score]
            for name in (variant, baseline)
        }
        both = [self.values(score, variant=name, **condition) for name in (variant, baseline)]
        expected = predicted(both[0] - both[1])
        found = here[variant] - here[baseline]
        if not expected.low <= found <= expected.high:
            raise AssertionError(f"{score}: seed {seed} gives {found:+.1f}, expected {expected}")
        said = f"{score}: seed {seed} gives {found:+.1f}, expected {expected} at {LEVEL:.0%}"
        return f"{said}: it agrees"

    def class_differences(self, modality: str, variant: str, baseline: str) -> list[Interval]:
        """For each class the difference of two variants' F-scores, paired by seed."""

        def table(name: str) -> np.ndarray:
            rows = [record["class_f"][modality] for record in self.where(variant=name)]
            return np.array(rows, dtype=float)

        return [interval(column) for column in (table(variant) - table(baseline)).T]


def strengths(record: dict) -> dict[str, float]:
    """What each modality takes from the other in a record's network, by its last epoch."""
    found = {name.removeprefix("tsam.interaction."): x for name, x in record["scalars"].items()}
    return {
        "audio from visual": found["alpha2"] * found["beta2"],
        "visual from audio": found["alpha1"] * found["beta1"],
    }


def predicted(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Where one more value of the same kind is expected: a prediction interval."""
    mean, low, high = interval(values, level)
    wider = (len(values) + 1) ** 0.5
    return Interval(mean, mean - (mean - low) * wider, mean + (high - mean) * wider)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="experiment", help=", ".join(EXPERIMENTS))
    parser.add_argument("--jobs", type=int, default=2, help="networks' stacks at a time")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(EXPERIMENTS)
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(EXPERIMENTS)}")
    RESULTS.mkdir(exist_ok=True)
    for name in asked.names or EXPERIMENTS:
        store(name, run(name, asked.jobs))


if __name__ == "__main__":
    main()
