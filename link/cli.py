"""The commands: ``link-avvp``, and ``python -m link``.

Exit codes: 0, done; 1, the work failed; 2, the call was wrong. What a program reads goes to the
standard output, everything else to the standard error. torch is imported by the commands that use
it, so that ``--help`` is quick.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

try:
    import typer
    from rich.console import Console
except ImportError as missing:
    sys.exit(f"The commands need {missing.name}: pip install 'link-avvp[cli]'")

from link.errors import LinkError

if TYPE_CHECKING:
    from link.ablation import Record
    from link.dataset import Dataset
    from link.training import TrainingConfig

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="LINK: which events can be heard, which can be seen, second by second.",
)
err = Console(stderr=True)

EXAMPLE = "**Example:** "

AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Overwrite = Annotated[bool, typer.Option(help="Replace a store that is already there.")]
Annotations = Annotated[
    Path | None,
    typer.Option(
        help="Folder with LLP's annotation files (AVVP_*.csv), if they are not in the data "
        "folder itself.",
        exists=True,
        file_okay=False,
    ),
]
SkipBad = Annotated[
    bool, typer.Option(help="Leave out videos whose arrays are missing or damaged.")
]
Data = Annotated[
    str,
    typer.Option(
        help="llp-sim (simulated), llp (the store of the real features at its usual place), the "
        "folder of a store, or a folder in the layout of the published VALOR features."
    ),
]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, ...; a GPU if there is one, by default.")
]
Epochs = Annotated[
    int | None, typer.Option(min=1, help="Passes over the train split; the warm-up scales along.")
]


@app.command(epilog=EXAMPLE + "`link-avvp simulate --out sim --misalignment 2`")
def simulate(
    out: Annotated[Path, typer.Option(help="Folder of the store to write.")],
    train: Annotated[int, typer.Option(min=1, help="Videos to learn from.")] = 640,
    val: Annotated[int, typer.Option(min=1, help="Videos to select on.")] = 200,
    test: Annotated[int, typer.Option(min=1, help="Videos to evaluate on.")] = 400,
    misalignment: Annotated[
        float,
        typer.Option(min=0, max=2, help="0 aligned, 1 as in LLP, 2 heard and seen independently."),
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Draw a simulated data set with the statistics of LLP and write it as a store."""
    _refuse_existing(out, overwrite)
    from link.console import report_store
    from link.features import write_store
    from link.simulation import SimulationConfig
    from link.simulation import simulate as draw

    config = SimulationConfig(
        train=train, val=val, test=test, misalignment=misalignment, seed=seed
    )
    dataset = draw(config)
    write_store(out, dataset, overwrite)
    report_store(out, dataset, as_json)


@app.command(epilog=EXAMPLE + "`link-avvp pack valor/data --annotations llp --out store`")
def pack(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder with CLIP, CLAP and feats, as published.", exists=True, file_okay=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the store to write.")],
    annotations: Annotations = None,
    skip_bad: SkipBad = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Turn the published VALOR features into a store: one file an array, opened at once."""
    _refuse_existing(out, overwrite)
    from link.console import report_store
    from link.features import HEADER, write_store

    if (folder / HEADER).exists():
        raise typer.BadParameter(f"{folder} is a store already", param_hint="FOLDER")
    dataset = _open(str(folder), annotations, skip_bad)
    write_store(out, dataset, overwrite)
    report_store(out, dataset, as_json)


@app.command(epilog=EXAMPLE + "`link-avvp train --data store --out runs/link --seed 1`")
def train(
    out: Annotated[Path, typer.Option(help="Folder of the run, to be made.")],
    data: Data = "llp-sim",
    annotations: Annotations = None,
    skip_bad: SkipBad = False,
    valor: Annotated[
        bool, typer.Option("--valor", help="Train VALOR++, the baseline, in place of LINK.")
    ] = False,
    tsam: Annotated[bool, typer.Option(help="Temporal-spatial attention and interaction.")] = True,
    s_loss: Annotated[bool, typer.Option(help="The semantic similarity loss.")] = True,
    plsim: Annotated[
        bool | None,
        typer.Option(
            help="Pseudo-label semantic interaction; on if the data has label-free pseudo-labels.",
            show_default=False,
        ),
    ] = None,
    keep_weight: Annotated[
        bool, typer.Option("--keep-weight", help="The S-LOSS that does not anneal away.")
    ] = False,
    epochs: Epochs = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0)] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Device = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the interrupted run in --out.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a network, select its epoch on the validation split, evaluate it on the test split.

    On simulated data the network and its training are of the book's size, on anything else of
    VALOR++'s.
    """
    if valor and (keep_weight or plsim):
        raise typer.BadParameter("--valor leaves out all that --plsim and --keep-weight ask for")
    if keep_weight and not s_loss:
        raise typer.BadParameter("--keep-weight is a form of S-LOSS; leave --no-s-loss out")
    if not resume:
        _refuse_existing(out)
    from link.ablation import VALOR, variants
    from link.console import print_scores, progress_bar, sizes
    from link.presets import usual_network
    from link.runs import RunFolder
    from link.training import check_fit, fit, selection

    dataset = _open(data, annotations, skip_bad)
    if valor:
        network = variants(usual_network(dataset))[VALOR]
    else:
        network = usual_network(
            dataset,
            tsam=tsam,
            s_loss=s_loss,
            plsim=_plsim_or_say(dataset) if plsim is None else plsim,
            keep_weight=keep_weight,
        )
    config = _training(dataset, epochs, device, batch_size=batch_size, learning_rate=learning_rate)
    config = dataclasses.replace(config, seed=seed)
    check_fit(dataset, network)
    folder = RunFolder(out, dataset, network, config, resume)
    err.print(f"{dataset.name}: {sizes(dataset)}; {config.epochs} epochs on {config.device}")
    with progress_bar() as progress:
        bar = progress.add_task("training", total=config.epochs, status="")

        def show(record: dict) -> None:
            name, score = selection(record)
            status = f"loss {record['loss']['total']:.3f}, val {name} {score:.1f}"
            progress.update(bar, completed=record["epoch"], status=status)

        fitted = fit(dataset, network, config, folder, show)
    if as_json:
        answer = {"run": str(out), "best_epoch": fitted.best_epoch, **fitted.scores}
        print(json.dumps({**answer, "simulated": dataset.simulated}))
        return
    print_scores({f"{name} split": scores for name, scores in fitted.scores.items()}, dataset)
    print(f"{out}: epoch {fitted.best_epoch} of {config.epochs}, selected on validation")


@app.command(epilog=EXAMPLE + "`link-avvp evaluate runs/link --data store --split val`")
def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", exists=True, file_okay=False)],
    data: Data = "llp-sim",
    split: Annotated[str, typer.Option(help="test or val.")] = "test",
    annotations: Annotations = None,
    skip_bad: SkipBad = False,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a trained network on an annotated split."""
    if split not in ("test", "val"):
        raise typer.BadParameter("it must be test or val", param_hint="--split")
    from link.console import print_scores
    from link.inference import evaluate as score
    from link.runs import load_run
    from link.training import check_fit

    model, made = load_run(run)
    dataset = _open(data, annotations, skip_bad)
    check_fit(dataset, model.config)
    if dataset.fingerprint() != made["data"]["fingerprint"]:
        err.print(f"note: {run} was trained on other data ({made['data']['name']})")
    where = device or _best_device()
    scores = score(model.to(where), dataset.splits()[split], where)
    if as_json:
        answer = {"run": str(run), "split": split, "scores": scores}
        print(json.dumps({**answer, "simulated": dataset.simulated}))
    else:
        print_scores({f"{split} split": scores}, dataset)


@app.command(epilog=EXAMPLE + "`link-avvp ablate --data store --seeds 5 --out ablation.json`")
def ablate(
    out: Annotated[Path, typer.Option(help="JSON file of the results; it grows run by run.")],
    data: Data = "llp-sim",
    annotations: Annotations = None,
    skip_bad: SkipBad = False,
    seeds: Annotated[int, typer.Option(min=2, help="Trainings of each combination.")] = 3,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at a time.")] = 1,
    score: Annotated[str, typer.Option(help="The score that the table shows.")] = "segment/type",
    epochs: Epochs = None,
    device: Device = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the results in --out and add what is missing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train TSAM x S-LOSS x PLSIM, all eight, and VALOR++ over seeds; compare them in pairs."""
    from link.metrics import SCORES

    if score not in SCORES:
        raise typer.BadParameter(f"it must be one of {', '.join(SCORES)}", param_hint="--score")
    if not resume:
        _refuse_existing(out)
    from link.ablation import ResultsFile, run_ablation, variants
    from link.console import print_ablation, progress_bar
    from link.presets import usual_network

    dataset = _open(data, annotations, skip_bad)
    network = usual_network(dataset, plsim=_plsim_or_say(dataset))
    training = _training(dataset, epochs, device)
    results = ResultsFile(out, dataset, network, training)
    with progress_bar() as progress:
        total = len(variants(network)) * seeds
        bar = progress.add_task("ablation", total=total, completed=len(results.records), status="")

        def show(record: "Record") -> None:
            results.add(record)
            status = f"{record.variant}, seed {record.seed}: {record.scores[score]:.1f}"
            progress.update(bar, advance=1, status=status)

        done = list(results.records)
        records = run_ablation(dataset, network, training, range(seeds), jobs, show, done)
    if as_json:
        print(out.read_text(encoding="utf-8"), end="")
    else:
        print_ablation(records, score, dataset)


def main() -> None:
    """Run a command; turn an expected failure into one sentence and exit code 1."""
    try:
        app()
    except LinkError as failure:
        if "--json" in sys.argv:
            problems = [[str(path), why] for path, why in getattr(failure, "problems", [])]
            print(json.dumps({"error": str(failure), "problems": problems}))
        _fail(str(failure))
    except OSError as failure:
        _fail(f"{failure.filename or 'a file'}: {failure.strerror or failure}")


def _fail(sentence: str) -> None:
    err.print(f"link-avvp: {sentence}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(1)


def _refuse_existing(out: Path, overwrite: bool = False) -> None:
    empty_folder = out.is_dir() and not any(out.iterdir())
    if out.exists() and not overwrite and not empty_folder:
        raise typer.BadParameter(f"{out} is already there; name another", param_hint="--out")


def _open(data: str, annotations: Path | None, skip_bad: bool) -> "Dataset":
    from link.console import progress_bar
    from link.presets import LLP, SIMULATED, open_dataset

    if data not in (SIMULATED, LLP) and not Path(data).is_dir():
        raise typer.BadParameter(f"{data} is no folder", param_hint="--data")
    with progress_bar() as progress:
        bar = progress.add_task(f"reading {data}", total=None, status="", visible=False)

        def show(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total, visible=True)

        return open_dataset(data, annotations, skip_bad, show)


def _training(
    dataset: "Dataset", epochs: int | None, device: str | None, **settings
) -> "TrainingConfig":
    from link.presets import usual_training

    usual = usual_training(dataset)
    given = {name: value for name, value in settings.items() if value is not None}
    if epochs is not None:
        warmup = max(1, round(usual.warmup_epochs * epochs / usual.epochs))
        given |= {"epochs": epochs, "warmup_epochs": warmup}
    return dataclasses.replace(usual, device=device or _best_device(), **given)


def _best_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _plsim_or_say(dataset: "Dataset") -> bool:
    from link.training import has_priors

    if not has_priors(dataset):
        err.print(
            f"note: PLSIM is off; {dataset.name} has no label-free pseudo-labels and text features"
        )
    return has_priors(dataset)


if __name__ == "__main__":
    main()
