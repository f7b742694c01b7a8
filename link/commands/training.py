"""Commands that train networks and tell how good they are."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from link.commands.options import (
    EXAMPLE,
    Annotations,
    AsJson,
    Data,
    Device,
    Epochs,
    Half,
    SkipBad,
    count,
    err,
    need_folder,
    open_data,
    plsim_or_say,
    refuse_existing,
    training_settings,
    usable_device,
)
from link.errors import LinkError

if TYPE_CHECKING:
    from link.ablation import Record

app = typer.Typer()

#: With fewer clips of validation than this, which epoch is best is mostly chance.
FEW = 10

MADE_BY_TRAIN = "make a run with 'link-avvp train --data DATA --out RUN'"


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
    motion: Annotated[
        bool, typer.Option(help="Read motion features where there are some; no video parsed has.")
    ] = True,
    keep_weight: Annotated[
        bool, typer.Option("--keep-weight", help="The S-LOSS that does not anneal away.")
    ] = False,
    half: Half = False,
    epochs: Epochs = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Videos a step; by default 32 on simulated data, 64 on real data.",
            show_default=False,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Peak of the learning rate, which the warm-up ends with; by default "
            "0.004 on simulated data, 0.0003 on real data.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(min=0, help="Of the initial weights, the order of the videos and dropout."),
    ] = 0,
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
    given = {"--plsim": plsim, "--keep-weight": keep_weight}
    modules = [option for option, on in given.items() if on]
    if valor and modules:
        raise typer.BadParameter(
            f"--valor trains without LINK's modules; leave out {' and '.join(modules)}"
        )
    if keep_weight and not s_loss:
        raise typer.BadParameter("--keep-weight is a form of S-LOSS; leave --no-s-loss out")
    if not resume:
        refuse_existing(out, "give --resume to go on with an interrupted run")
    device = usable_device(device)
    from link.ablation import VALOR, variants
    from link.console import print_scores, progress_bar, sizes
    from link.presets import usual_network
    from link.runs import RunFolder
    from link.training import check_fit, fit, selection

    dataset = open_data(data, annotations, skip_bad)
    if valor:
        network = variants(usual_network(dataset))[VALOR]
    else:
        network = usual_network(
            dataset,
            tsam=tsam,
            s_loss=s_loss,
            plsim=plsim_or_say(dataset) if plsim is None else plsim,
            keep_weight=keep_weight,
        )
    if not motion:
        network = dataclasses.replace(network, motion_dim=None)
    config = training_settings(
        dataset,
        epochs,
        device,
        batch_size=batch_size,
        learning_rate=learning_rate,
        mode="half" if half else None,
    )
    config = dataclasses.replace(config, seed=seed)
    check_fit(dataset, network)
    folder = RunFolder(out, dataset, network, config, resume)
    err.print(f"{dataset.name}: {sizes(dataset)}; {count(config.epochs, 'epoch')} on {device}")
    if len(dataset.val) < FEW:
        clips = count(len(dataset.val), "clip")
        err.print(f"note: validation has only {clips} to select an epoch by")
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
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    data: Data = "llp-sim",
    split: Annotated[str, typer.Option(help="test or val.")] = "test",
    annotations: Annotations = None,
    skip_bad: SkipBad = False,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a trained network on the test or the validation split."""
    if split not in ("test", "val"):
        raise typer.BadParameter("it must be test or val", param_hint="--split")
    need_folder(run, "RUN", MADE_BY_TRAIN)
    device = usable_device(device)
    from link.console import print_scores
    from link.inference import evaluate as score
    from link.runs import load_run
    from link.training import check_fit

    model, made = load_run(run)
    dataset = open_data(data, annotations, skip_bad)
    check_fit(dataset, model.config)
    if dataset.fingerprint() != made["data"]["fingerprint"]:
        err.print(f"note: {run} was trained on other data ({made['data']['name']})")
    scores = score(model.to(device), dataset.splits()[split], device)
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
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Stacks at a time; by default one for each core, on a GPU one."),
    ] = None,
    score: Annotated[str, typer.Option(help="The score that the table shows.")] = "segment/type",
    epochs: Epochs = None,
    device: Device = None,
    half: Half = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the results in --out and add what is missing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train TSAM x S-LOSS x PLSIM, all eight, and VALOR++ over seeds; compare them in pairs.

    The seeds of a combination train side by side, as one stacked model.
    """
    from link.metrics import SCORES

    if score not in SCORES:
        raise typer.BadParameter(f"it must be one of {', '.join(SCORES)}", param_hint="--score")
    if not resume:
        refuse_existing(out, "give --resume to add to it")
    device = usable_device(device)
    from link.ablation import ResultsFile, run_ablation, variants
    from link.console import print_ablation, progress_bar
    from link.presets import usual_jobs, usual_network

    dataset = open_data(data, annotations, skip_bad)
    if dataset.test.audio_truth is None:
        raise LinkError(
            f"{dataset.name} has no segment annotation of its test split, which an ablation is "
            "scored on; add one"
        )
    network = usual_network(dataset, plsim=plsim_or_say(dataset))
    # The fast mode for simulated data, too: in it the seeds of a variant train at once.
    mode = "half" if half else "fast"
    training = training_settings(dataset, epochs, device, mode=mode)
    jobs = jobs or usual_jobs(training.device)
    with progress_bar() as progress:
        results = ResultsFile(out, dataset, network, training)
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


@app.command(epilog=EXAMPLE + "`link-avvp share runs/link --out link-llp`")
def share(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    out: Annotated[Path, typer.Option(help="Folder to write the model to.")],
) -> None:
    """Write a trained network for others: weights, configuration and a model card.

    Anyone can use the folder with `parse --model` and `LINK.from_pretrained`; uploaded to the hub
    with `hf upload`, they can do so by its name.
    """
    need_folder(run, "RUN", MADE_BY_TRAIN)
    from link.about import about_run
    from link.runs import load_run

    network, _ = load_run(run)
    network.save_pretrained(out, about_run(run))
    print(f"{out}: read its model card, README.md, before you share it")
