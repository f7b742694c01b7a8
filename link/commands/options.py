"""What several commands have in common: options, and what is done with them."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from link.errors import LinkError

if TYPE_CHECKING:
    from link.dataset import Dataset
    from link.encoders import ClapEncoder, ClipEncoder
    from link.training import TrainingConfig

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
Half = Annotated[
    bool, typer.Option("--half", help="Products in bfloat16: faster where there are such.")
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Passes over the train split, with which the warm-up scales; by default "
        "8 on simulated data, 60 on real data.",
        show_default=False,
    ),
]

Videos = Annotated[
    list[Path],
    typer.Argument(help="Video and sound files, or folders.", show_default=False),
]
ClipModel = Annotated[
    str | None,
    typer.Option(
        help="CLIP, by open_clip's name, hf-hub:OWNER/NAME or local-dir:FOLDER; "
        "by default ViT-L-14-quickgelu, which VALOR used.",
        show_default=False,
    ),
]
ClipWeights = Annotated[
    str | None,
    typer.Option(
        help="CLIP's weights: open_clip's name for them, or a file; openai by default.",
        show_default=False,
    ),
]
ClapWeights = Annotated[
    str | None,
    typer.Option(
        help="CLAP's weights: a file, or the name of one in lukewys/laion_clap on the hub; "
        "630k-fusion-best.pt by default, which VALOR used.",
        show_default=False,
    ),
]
CaptionFile = Annotated[
    Path | None,
    typer.Option(
        "--captions",
        help="YAML file of classes, with their captions and thresholds if you like.",
        show_default=False,
    ),
]


def refuse_existing(out: Path, remedy: str = "give --overwrite to replace it") -> None:
    empty_folder = out.is_dir() and not any(out.iterdir())
    if out.exists() and not empty_folder:
        raise typer.BadParameter(
            f"{out} is already there; name another, or {remedy}", param_hint="--out"
        )


def need_folder(path: Path, name: str, remedy: str) -> None:
    """In place of typer's ``exists=True``, which cannot say where to get such a folder."""
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise typer.BadParameter(f"{path} {what}: {remedy}", param_hint=name)


def need_file(path: Path | None, name: str, holds: str) -> None:
    """Of an option that may be left out. A pipe is as good as a file."""
    if path and (path.is_dir() or not path.exists()):
        what = "is a folder" if path.is_dir() else "does not exist"
        raise typer.BadParameter(f"{path} {what}: name {holds}", param_hint=name)


def need_captions(path: Path | None) -> None:
    need_file(
        path,
        "--captions",
        "a YAML file that holds the line 'classes:', and under it, indented, a line 'name:' for "
        "each class",
    )


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def open_data(data: str, annotations: Path | None, skip_bad: bool) -> "Dataset":
    from link.console import reading_bar
    from link.presets import KNOWN_DATA, LLP, SIMULATED, open_dataset

    if data not in (SIMULATED, LLP):
        need_folder(Path(data), "--data", f"name {KNOWN_DATA}")
    with reading_bar(data) as show:
        return open_dataset(data, annotations, skip_bad, show)


def training_settings(
    dataset: "Dataset", epochs: int | None, device: str, **settings
) -> "TrainingConfig":
    from link.presets import usual_training

    usual = usual_training(dataset)
    given = {name: value for name, value in settings.items() if value is not None}
    if epochs is not None:
        warmup = max(1, round(usual.warmup_epochs * epochs / usual.epochs))
        given |= {"epochs": epochs, "warmup_epochs": warmup}
    return dataclasses.replace(usual, device=device, **given)


def usable_device(device: str | None) -> str:
    """The device asked for, else the GPU if there is one. LinkError if it cannot be used.

    To be called before anything is read or written.
    """
    from link.weights import pick_device

    picked = pick_device(device)
    # As it was asked for: a run would not be resumed on "cuda:0" that began on "cuda".
    return device or picked.type


def plsim_or_say(dataset: "Dataset") -> bool:
    from link.training import has_priors

    if not has_priors(dataset):
        err.print(
            f"note: PLSIM is off; {dataset.name} has no label-free pseudo-labels and text features"
        )
    return has_priors(dataset)


def load_encoders(
    clip_model: str | None,
    clip_weights: str | None,
    clap_weights: str | None,
    device: str | None,
    like: Mapping[str, str] | None = None,
) -> tuple["ClipEncoder", "ClapEncoder"]:
    """CLIP and CLAP as asked for, and what is not asked for as in `like`, else as VALOR had them.

    `like` has the names by modality that encoders give themselves (`link.encoders`).
    """
    from link.encoders import ClapEncoder, ClipEncoder
    from link.teachers import CLAP, CLIP

    name = (like or {}).get("visual", f"open_clip {CLIP}").removeprefix("open_clip ")
    if clip_model is None:
        # What names a place brings its own weights, and may have spaces in it.
        clip_model, _, weights = (name, "", "") if ":" in name else name.partition(" ")
        clip_weights = clip_weights or weights or None
    name = (like or {}).get("audio", f"laion_clap {CLAP}").removeprefix("laion_clap ")
    clap_weights = clap_weights or name
    with err.status("loading CLIP and CLAP"):
        return ClipEncoder(clip_model, clip_weights, device), ClapEncoder(clap_weights, device)


def named_videos(videos: list[Path]) -> dict[str, Path]:
    """The videos of a call by name; two of one name are a wrong call."""
    from link.reading import name_videos

    try:
        return name_videos(videos)
    except LinkError as error:
        raise typer.BadParameter(str(error), param_hint="VIDEOS") from error


def all_unreadable(videos: Mapping[str, Path]) -> dict[str, str]:
    """Why each video cannot be read, by name; nothing as soon as one can.

    To be asked before encoders are loaded, which takes minutes where they are not at hand.
    """
    from link.containers import probe

    failed = {}
    for name, path in videos.items():
        try:
            probe(path)
        except (LinkError, OSError) as error:
            failed[name] = str(error)
        else:
            return {}
    return failed


def report_failed(failed: Mapping[str, str], total: int) -> None:
    """Name every video that could not be read, and end with exit code 1 if there is one."""
    if not failed:
        return
    err.print(f"{len(failed)} of {count(total, 'video')} could not be read:", style="red")
    for error in failed.values():
        err.print(f"  {error}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)
