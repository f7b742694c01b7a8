"""The command for a person with a video."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from link.commands.options import (
    EXAMPLE,
    AsJson,
    CaptionFile,
    ClapWeights,
    ClipModel,
    ClipWeights,
    Device,
    Videos,
    all_unreadable,
    count,
    err,
    load_encoders,
    named_videos,
    need_captions,
    report_failed,
)
from link.errors import LinkError

if TYPE_CHECKING:
    from link.pseudo_labels import Captions

app = typer.Typer()


@app.command(
    epilog=EXAMPLE + "`link-avvp parse party.mp4 --classes 'dog, doorbell, laughter' --out parsed`"
)
def parse(
    videos: Videos,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path(),
    model: Annotated[
        str | None,
        typer.Option(
            help="A trained network: the folder of a run, a shared model's folder, or its "
            "owner/name on the hub. Without one the two teachers parse, CLIP and CLAP.",
            show_default=False,
        ),
    ] = None,
    formats: Annotated[
        str,
        typer.Option(
            "--format", help="Some of json, csv, vtt, eaf, audacity, html, with commas; or all."
        ),
    ] = "all",
    classes: Annotated[
        str | None,
        typer.Option(
            help="What to look and listen for, in your words, with commas; by default the classes "
            "of LLP. Only without --model.",
            show_default=False,
        ),
    ] = None,
    captions: CaptionFile = None,
    hop: Annotated[
        int, typer.Option(min=1, max=10, help="Seconds between the windows of a long video.")
    ] = 5,
    clip_model: ClipModel = None,
    clip_weights: ClipWeights = None,
    clap_weights: ClapWeights = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Say of videos, second by second, what can be heard and what can be seen.

    One file a format is written for each video, named after it.
    """
    if model and (classes or captions):
        raise typer.BadParameter("--model has classes of its own: leave out --classes, --captions")
    if classes and captions:
        raise typer.BadParameter("give --classes or --captions, not both")
    need_captions(captions)
    named = named_videos(videos)
    from link.exports import known_formats, write
    from link.files import make_writable
    from link.parsed_video import check_class_names

    try:
        wanted = known_formats(name.strip() for name in formats.split(","))
    except LinkError as error:
        raise typer.BadParameter(str(error), param_hint="--format") from error
    failed = all_unreadable(named)
    if failed:
        if as_json:
            print(json.dumps([_failure(named[name], failed[name]) for name in named]))
        report_failed(failed, len(named))
    from link.console import progress_bar
    from link.parser import by_network, by_teachers, check_parses_videos, parse_videos
    from link.pretrained import load

    if model:
        network, about = load(model)
        check_parses_videos(network, about, model)
        check_class_names(about.classes)
        clip, clap = load_encoders(clip_model, clip_weights, clap_weights, device, about.encoders)
        judge = by_network(network.to(clip.device), about, model, clip, clap)
        if judge.provenance["encoders"] != about.encoders:
            err.print(f"note: {model} was trained on features of other encoders", markup=False)
    else:
        asked = _captions(classes, captions)
        check_class_names(asked.classes)
        clip, clap = load_encoders(clip_model, clip_weights, clap_weights, device)
        judge = by_teachers(asked, clip, clap)
    answers = []
    # Before the videos are parsed, which may take long.
    make_writable(out, out)
    with progress_bar() as progress:
        bar = progress.add_task("parsing", total=len(named), status="")

        def show(done: float) -> None:
            progress.update(bar, completed=round(done, 2))

        for name, parsed in parse_videos(named, judge, clip, clap, hop, show):
            if isinstance(parsed, str):
                failed[name] = parsed
                answers.append(_failure(named[name], parsed))
                continue
            files = [str(path) for path in write(parsed, out, name, wanted)]
            events = parsed.events()
            answers.append({"video": str(named[name]), "events": len(events), "files": files})
            if not as_json:
                absent = {"audio": "no sound", "visual": "no picture"}
                notes = "".join(f", {absent[modality]}" for modality in sorted(parsed.absent))
                progress.console.print(
                    f"{named[name]}: {count(len(events), 'event')}{notes}",
                    markup=False,
                    highlight=False,
                )
        show(len(named))
    if as_json:
        print(json.dumps(answers))
    elif len(failed) < len(named):
        print(f"written to {out}: {', '.join(wanted)}")
    report_failed(failed, len(named))


def _failure(video: Path, error: str) -> dict[str, str]:
    return {"video": str(video), "error": error}


def _captions(classes: str | None, path: Path | None) -> "Captions":
    from link.parsed_video import check_class_names
    from link.pseudo_labels import VALOR_CAPTIONS, captions_for, read_captions

    if path:
        return read_captions(path)
    if classes is None:
        return VALOR_CAPTIONS
    names = [name.strip() for name in classes.split(",") if name.strip()]
    if not names:
        raise typer.BadParameter("it names nothing to look for", param_hint="--classes")
    try:
        check_class_names(tuple(names))
    except LinkError as error:
        raise typer.BadParameter(str(error), param_hint="--classes") from error
    return captions_for(names)
