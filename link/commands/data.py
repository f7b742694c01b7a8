"""Commands that make data sets."""

import json
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from link.commands.options import (
    EXAMPLE,
    Annotations,
    AsJson,
    CaptionFile,
    ClapWeights,
    ClipModel,
    ClipWeights,
    Device,
    Overwrite,
    SkipBad,
    Videos,
    all_unreadable,
    count,
    err,
    load_encoders,
    named_videos,
    need_captions,
    need_file,
    need_folder,
    open_data,
    refuse_existing,
    report_failed,
    usable_device,
)

if TYPE_CHECKING:
    from link.dataset import Dataset
    from link.encoders import ClapEncoder, ClipEncoder

app = typer.Typer()


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
    seed: Annotated[
        int, typer.Option(min=0, help="Another seed draws other videos of the same statistics.")
    ] = 0,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Draw a simulated data set with the statistics of LLP and write it as a store."""
    if not overwrite:
        refuse_existing(out)
    from link.simulation import SimulationConfig
    from link.simulation import simulate as draw

    config = SimulationConfig(
        train=train, val=val, test=test, misalignment=misalignment, seed=seed
    )
    _keep(draw(config), out, overwrite, as_json)


@app.command(epilog=EXAMPLE + "`link-avvp pack valor/data --annotations llp --out store`")
def pack(
    folder: Annotated[Path, typer.Argument(help="VALOR's folder, as published.")],
    out: Annotated[Path, typer.Option(help="Folder of the store to write.")],
    annotations: Annotations = None,
    skip_bad: SkipBad = False,
    priors: Annotated[
        bool,
        typer.Option(
            "--priors",
            help="Add label-free pseudo-labels and text features, which PLSIM reads; needs the "
            "encoders' weights.",
        ),
    ] = False,
    clip_weights: ClipWeights = None,
    clap_weights: ClapWeights = None,
    device: Device = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Turn the published VALOR features into a store: one file an array, opened at once."""
    need_folder(folder, "FOLDER", "name the folder of VALOR's features, as published")
    if not overwrite:
        refuse_existing(out)
    from link.features import HEADER

    if (folder / HEADER).exists():
        raise typer.BadParameter(f"{folder} is a store already", param_hint="FOLDER")
    encoders = load_encoders(None, clip_weights, clap_weights, device) if priors else None
    dataset = open_data(str(folder.resolve()), annotations, skip_bad)
    _keep(_with_priors(dataset, encoders), out, overwrite, as_json)


class Downloadable(StrEnum):
    """What `download` can fetch."""

    llp = "llp"


@app.command(epilog=EXAMPLE + "`link-avvp download llp`, then `link-avvp train --data llp ...`")
def download(
    name: Annotated[Downloadable, typer.Argument(help="llp: LLP with VALOR's features.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the store; by default where --data llp looks for it.",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Where to download and unpack to; by default beside the store. It can be removed "
            "afterwards.",
            show_default=False,
        ),
    ] = None,
    priors: Annotated[
        bool,
        typer.Option(
            help="Add label-free pseudo-labels and text features, which PLSIM reads; fetches the "
            "encoders' weights too."
        ),
    ] = True,
    skip_bad: SkipBad = False,
    clip_weights: ClipWeights = None,
    clap_weights: ClapWeights = None,
    device: Device = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Fetch LLP's annotations and VALOR's features, check them, and make a store of them.

    Interrupted, it goes on where it was. Annotations and features are their authors' and not part
    of this package. Takes at most 5.2 GB of disk while it unpacks, and 0.8 GB
    for the store; packing takes as much memory as the store.
    """
    from link.console import reading_bar, transfer_bar
    from link.download import download_llp
    from link.presets import llp_store
    from link.valor_folders import read_valor_folders

    out = llp_store() if out is None else out
    if not overwrite:
        refuse_existing(out)
    if priors:
        usable_device(device)
    folder = out.with_name(f"{out.name}-downloaded") if folder is None else folder
    with transfer_bar() as progress:
        bar = progress.add_task("", total=None)

        def show(done: int, total: int | None, what: str) -> None:
            progress.update(bar, description=what, completed=done, total=total)

        annotated = download_llp(folder, skip_bad=skip_bad, on_progress=show)
    encoders = load_encoders(None, clip_weights, clap_weights, device) if priors else None
    with reading_bar(str(folder)) as show_read:
        dataset = read_valor_folders(folder, annotated, skip_bad, show_read)
    _keep(_with_priors(dataset, encoders), out, overwrite, as_json)
    err.print(f"note: {folder} is no longer needed; remove it if you want its space", markup=False)


@app.command(epilog=EXAMPLE + "`link-avvp extract videos/ --out features`")
def extract(
    videos: Videos,
    out: Annotated[Path, typer.Option(help="Folder of features to write, or to add to.")],
    clip_model: ClipModel = None,
    clip_weights: ClipWeights = None,
    clap_weights: ClapWeights = None,
    device: Device = None,
    overwrite: Annotated[
        bool, typer.Option(help="Begin anew, in place of adding to what is there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Encode videos with CLIP and CLAP, ten seconds a clip, and keep the features.

    Interrupted at whatever moment, the same call goes on where it was. Videos that are in --out
    already are not encoded again.
    """
    named = named_videos(videos)
    from link.console import progress_bar
    from link.extraction import Progress, nothing_read
    from link.extraction import extract as run

    # A store that is there takes in which videos could not be read, be it all of them.
    if overwrite or not out.exists():
        failed = all_unreadable(named)
        if failed:
            raise nothing_read(out, failed.values())
    clip, clap = load_encoders(clip_model, clip_weights, clap_weights, device)
    started = time.monotonic()
    with progress_bar() as progress:
        bar = progress.add_task("encoding", total=len(named), status="")

        def show(done: Progress) -> None:
            rate = done.clips / (time.monotonic() - started)
            status = f"{done.clips} clips, {rate:.2g} a second"
            progress.update(bar, completed=round(done.videos, 2), status=status)

        store = run(named, out, clip, clap, overwrite, show)
        progress.update(bar, completed=len(named))
    failed = {each["name"]: each["error"] for each in store.failed}
    if as_json:
        answer = {"store": str(out), "videos": len(store.videos), "clips": len(store.starts)}
        print(json.dumps({**answer, "encoders": store.encoders, "failed": failed}))
    else:
        clips, of = count(len(store.starts), "clip"), count(len(store.videos), "video")
        print(f"{out}: {clips} of {of}")
    report_failed(failed, len(named))


@app.command(epilog=EXAMPLE + "`link-avvp label features --labels labels.csv --out store`")
def label(
    features: Annotated[Path, typer.Argument(help="What extract wrote.")],
    labels: Annotated[
        Path,
        typer.Option(help="CSV file: video, labels (with semicolons between), split if you like."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the store to write.")],
    captions: CaptionFile = None,
    events: Annotated[
        Path | None,
        typer.Option(
            help="CSV file of segment annotations, for evaluation: video, modality, label, onset, "
            "offset.",
            show_default=False,
        ),
    ] = None,
    clip_weights: ClipWeights = None,
    clap_weights: ClapWeights = None,
    device: Device = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make a data set of extracted features, weak labels and what the teachers say."""
    need_folder(features, "FEATURES", "make it with 'link-avvp extract VIDEOS --out FEATURES'")
    need_file(
        labels,
        "--labels",
        "a CSV file with the columns video and labels, and split if you like, and a row a video",
    )
    need_captions(captions)
    need_file(
        events,
        "--events",
        "a CSV file with the columns video, modality, label, onset and offset, and a row an event",
    )
    if not overwrite:
        refuse_existing(out)
    from link.clip_features import open_clips
    from link.label_files import read_events, read_labels
    from link.own_data import label_clips
    from link.pseudo_labels import captions_for, read_captions

    weak = read_labels(labels)
    annotation = read_events(events) if events else None
    store = open_clips(features)
    wanted = read_captions(captions) if captions else captions_for(weak.classes)
    clip, clap = load_encoders(None, clip_weights, clap_weights, device, store.encoders)
    dataset = label_clips(store, weak, wanted, clip, clap, annotation, out.name)
    _keep(dataset, out, overwrite, as_json)


def _keep(dataset: "Dataset", out: Path, overwrite: bool, as_json: bool) -> None:
    """Write a data set as a store, and tell of it."""
    from link.console import report_store
    from link.features import write_store

    write_store(out, dataset, overwrite)
    report_store(out, dataset, as_json)


def _with_priors(
    dataset: "Dataset", encoders: tuple["ClipEncoder", "ClapEncoder"] | None
) -> "Dataset":
    """The data set with what PLSIM reads; as it is, without encoders to make that."""
    if encoders is None:
        return dataset
    from link.pseudo_labels import with_priors

    clip, clap = encoders
    with err.status("making label-free pseudo-labels"):
        return with_priors(dataset, clap, clip)
