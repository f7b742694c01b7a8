"""The ablation: TSAM x S-LOSS x PLSIM, all eight combinations, over seeds.

Every combination is trained with the same seeds, so that two of them are compared seed by seed:
the interval of a paired difference leaves out what the seed does to both. The loss's two uni-modal
terms, which the paper adds and VALOR lacks, are on in all eight; their own effect is the
difference between the first combination and VALOR++.
"""

import contextlib
import itertools
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from link.dataset import Dataset
from link.files import make_writable
from link.intervals import Interval, interval
from link.model import VALOR_SWITCHES, LinkConfig
from link.runs import RunError, describe_data, versions, write_json
from link.stack import fit_stack, seeds_of_stacks
from link.training import TrainingConfig, check_fit, fit

MODULES = {"tsam": "TSAM", "s_loss": "S-LOSS", "plsim": "PLSIM"}
BASELINE = "no module"
VALOR = "VALOR++"


@dataclass(frozen=True)
class Record:
    """One trained network: its variant, its seed, and its ten scores on the test split."""

    variant: str
    seed: int
    scores: dict[str, float]
    best_epoch: int


def variants(config: LinkConfig) -> dict[str, LinkConfig]:
    """VALOR++ and the eight combinations by name, from the baseline to all of LINK.

    Where ``config`` itself has PLSIM off, as it must on data without label-free pseudo-labels,
    there are only the four combinations without it.
    """
    combinations = itertools.product((False, True), (False, True), {False, config.plsim})
    eight = sorted(combinations, key=lambda on: (sum(on), [not x for x in on]))
    named = {VALOR: replace(config, **VALOR_SWITCHES)}
    for on in eight:
        switches = dict(zip(MODULES, on, strict=True))
        named[variant_name(switches)] = replace(config, **switches, unimodal_terms=True)
    return named


def variant_name(switches: dict[str, bool]) -> str:
    """``TSAM + PLSIM`` for these two on; ``no module`` for none."""
    return " + ".join(MODULES[name] for name in MODULES if switches[name]) or BASELINE


def run_ablation(
    dataset: Dataset,
    config: LinkConfig,
    training: TrainingConfig,
    seeds: Sequence[int],
    jobs: int = 1,
    on_record: Callable[[Record], None] | None = None,
    done: Sequence[Record] = (),
) -> list[Record]:
    """Train every variant from every seed.

    Parameters
    ----------
    config, training
        Sizes, and how to train; switches and seed are replaced. In the modes ``fast`` and ``half``
        the seeds of a variant train as one stacked model, as many as memory allows
        (`link.stack`): the same result up to rounding, and on a GPU up to which segments dropout
        drops.
    jobs
        Trainings at a time, each on one thread, and in a process of its own if there are two or
        more. The result does not depend on it either, but for rounding
        and for what dropout drops on a GPU.
    on_record
        Called with each result as it comes.
    done
        Results of an earlier call, which are not trained again.

    Returns
    -------
    list of Record
        In the order of :func:`variants` and ``seeds``.
    """
    for variant in variants(config).values():
        check_fit(dataset, variant)
    known = {(record.variant, record.seed): record for record in done}
    wanted = [(name, seed) for name in variants(config) for seed in seeds]
    work = []
    for name, variant in variants(config).items():
        missing = [seed for seed in seeds if (name, seed) not in known]
        parts = [[seed] for seed in missing]
        if training.mode != "plain" and len(missing) > 1:
            parts = seeds_of_stacks(dataset, variant, training, missing, jobs)
        work += [(name, variant, training, part) for part in parts]
    for records in _run(dataset, work, min(jobs, len(work))):
        for record in records:
            known[record.variant, record.seed] = record
            if on_record is not None:
                on_record(record)
    return [known[key] for key in wanted]


class ResultsFile:
    """The records of an ablation in a JSON file, which grows with each of them.

    Parameters
    ----------
    path
        The file. If it exists, its records are kept; they must come from the same data, sizes and
        training.

    Raises
    ------
    RunError
        If the file holds something else.
    """

    def __init__(
        self, path: str | Path, dataset: Dataset, config: LinkConfig, training: TrainingConfig
    ):
        self.path = Path(path)
        settings = {
            "model": asdict(config),
            "training": {k: v for k, v in asdict(training).items() if k != "seed"},
            "data": describe_data(dataset),
        }
        # As the file will give it back: JSON has lists where Python may have tuples.
        settings = json.loads(json.dumps(settings))
        self.content = {**settings, "versions": versions(), "records": []}
        if self.path.exists():
            try:
                there = json.loads(self.path.read_text(encoding="utf-8"))
                same = all(there[part] == settings[part] for part in settings)
                self.records = [Record(**record) for record in there["records"]]
            except (OSError, ValueError, TypeError, KeyError) as error:
                raise RunError(
                    f"{self.path} holds no ablation ({error!r}); name another"
                ) from error
            if not same:
                raise RunError(
                    f"{self.path} is an ablation of other data, sizes or training; name another"
                )
            self.content["records"] = there["records"]
        else:
            self.records = []
            make_writable(self.path.parent, self.path)

    def add(self, record: Record) -> None:
        """Keep one more record."""
        self.records.append(record)
        self.content["records"].append(asdict(record))
        write_json(self.path, self.content)


def score_intervals(
    records: Sequence[Record], score: str, level: float = 0.95
) -> dict[str, Interval]:
    """For each variant the mean of a score over seeds, with its confidence interval."""
    return {
        variant: interval(list(by_seed.values()), level)
        for variant, by_seed in _table(records, score).items()
    }


def differences(
    records: Sequence[Record], score: str, baseline: str = BASELINE, level: float = 0.95
) -> dict[str, Interval]:
    """For each other variant its difference to the baseline, paired by seed, in points."""
    table = _table(records, score)
    base = table.pop(baseline)
    return {
        variant: interval([by_seed[seed] - base[seed] for seed in base], level)
        for variant, by_seed in table.items()
    }


def module_effects(
    records: Sequence[Record], score: str, level: float = 0.95
) -> dict[str, Interval]:
    """What switching one module on does, averaged over the four settings of the other two.

    The average is taken for each seed before the interval, so that seeds are what is sampled.
    """
    table = _table(records, score)
    effects = {}
    tried = {title for variant in table for title in variant.split(" + ")}
    modules = [name for name, title in MODULES.items() if title in tried]
    for module in modules:
        others = [name for name in modules if name != module]
        per_seed = []
        for seed in table[BASELINE]:
            gains = []
            for on in itertools.product((False, True), repeat=len(others)):
                rest = dict.fromkeys(MODULES, False) | dict(zip(others, on, strict=True))
                with_it, without = (
                    table[variant_name({**rest, module: switch})][seed] for switch in (True, False)
                )
                gains.append(with_it - without)
            per_seed.append(np.mean(gains))
        effects[MODULES[module]] = interval(per_seed, level)
    return effects


def _table(records: Sequence[Record], score: str) -> dict[str, dict[int, float]]:
    table: dict[str, dict[int, float]] = {}
    for record in records:
        table.setdefault(record.variant, {})[record.seed] = record.scores[score]
    return table


def _run(dataset: Dataset, work: list[tuple], jobs: int) -> Iterator[list[Record]]:
    if jobs <= 1:
        for item in work:
            with _one_thread():
                records = _train(dataset, *item)
            yield records
        return
    # A forked process would inherit torch's threads in an undefined state.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, _start_worker, (dataset,)) as pool:
        yield from pool.map(_train_in_worker, work)


def _train(
    dataset: Dataset, name: str, config: LinkConfig, training: TrainingConfig, seeds: Sequence[int]
) -> list[Record]:
    if len(seeds) == 1:
        fits = [fit(dataset, config, replace(training, seed=seeds[0]))]
    else:
        fits = fit_stack(dataset, config, training, seeds)
    return [
        Record(name, seed, each.scores["test"], each.best_epoch)
        for seed, each in zip(seeds, fits, strict=True)
    ]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Sums come out otherwise on more threads, and a worker has one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


_worker_dataset: Dataset | None = None


def _start_worker(dataset: Dataset) -> None:
    global _worker_dataset
    _worker_dataset = dataset
    torch.set_num_threads(1)


def _train_in_worker(item: tuple) -> list[Record]:
    return _train(_worker_dataset, *item)
