"""What the commands print: progress to the standard error, answers to the standard output."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from link.ablation import BASELINE, Record, differences, score_intervals
from link.dataset import Dataset

err = Console(stderr=True)


def progress_bar() -> Progress:
    """A bar with the time left, for tasks that start with ``status=""``."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[status]}"),
        console=err,
    )


def transfer_bar() -> Progress:
    """A bar for what is counted in bytes."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=err,
    )


@contextmanager
def reading_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that shows once something is done: to be told how many, and of how many."""
    with progress_bar() as progress:
        bar = progress.add_task(f"reading {what}", total=None, status="", visible=False)
        yield lambda done, total: progress.update(bar, completed=done, total=total, visible=True)


def sizes(dataset: Dataset) -> str:
    """How many videos each split has, in words."""
    return ", ".join(f"{len(split)} {name}" for name, split in dataset.splits().items())


def report_store(out: Path, dataset: Dataset, as_json: bool) -> None:
    """Tell of a store that was written."""
    left_out = dataset.provenance.get("left_out", {})
    if as_json:
        videos = {name: len(split) for name, split in dataset.splits().items()}
        fingerprint = dataset.fingerprint()
        answer = {"store": str(out), "videos": videos, "fingerprint": fingerprint}
        print(json.dumps({**answer, "simulated": dataset.simulated, "left_out": left_out}))
        return
    print(f"{out}: {dataset.name}{simulated_note(dataset)}, {sizes(dataset)} videos")
    if any(left_out.values()):
        print(f"left out: {', '.join(f'{len(v)} {name}' for name, v in left_out.items())}")


def simulated_note(dataset: Dataset) -> str:
    """What is said beside numbers that are simulated; nothing beside others."""
    return " (simulated data)" if dataset.simulated else ""


def print_scores(columns: dict[str, dict[str, float]], dataset: Dataset) -> None:
    """A table of scores, a column for each split or run."""
    table = Table(title=f"F-scores in percent, {dataset.name}{simulated_note(dataset)}")
    table.add_column("score")
    for name in columns:
        table.add_column(name, justify="right")
    # Splits that are annotated have other scores than those that are not.
    for score in dict.fromkeys(score for scores in columns.values() for score in scores):
        cells = (scores.get(score) for scores in columns.values())
        table.add_row(score, *("" if cell is None else f"{cell:.1f}" for cell in cells))
    Console().print(table)


def print_ablation(records: Sequence[Record], score: str, dataset: Dataset) -> None:
    """A table of the ablation: each row with its mean and its gain over the baseline."""
    table = Table(title=f"{score} in percent, {dataset.name}{simulated_note(dataset)}")
    for column in ("modules", "mean", "95% interval", f"minus {BASELINE}", "95% interval"):
        table.add_column(column, justify="left" if column == "modules" else "right")
    gains = differences(records, score)
    for name, (mean, low, high) in score_intervals(records, score).items():
        gain = gains.get(name)
        row = [f"{gain.mean:+.1f}", f"{gain.low:+.1f} to {gain.high:+.1f}"] if gain else ["", ""]
        table.add_row(name, f"{mean:.1f}", f"{low:.1f} to {high:.1f}", *row)
    Console().print(table)
