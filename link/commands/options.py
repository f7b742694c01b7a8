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
    int | None, typer.Option(min=1, help="Passes over the train split; the warm-up scales along.")
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


def refuse_existing(out: Path, overwrite: bool = False) -> None:
    empty_folder = out.is_dir() and not any(out.iterdir())
    if out.exists() and not overwrite and not empty_folder:
        raise typer.BadParameter(f"{out} is already there; name another", param_hint="--out")


def open_data(data: str, annotations: Path | None, skip_bad: bool) -> "Dataset":
    from link.console import reading_bar
    from link.presets import LLP, SIMULATED, open_dataset

    if data not in (SIMULATED, LLP) and not Path(data).is_dir():
        raise typer.BadParameter(f"{data} is no folder", param_hint="--data")
    with reading_bar(data) as show:
        return open_dataset(data, annotations, skip_bad, show)


def training_settings(
    dataset: "Dataset", epochs: int | None, device: str | None, **settings
) -> "TrainingConfig":
    from link.presets import usual_training

    usual = usual_training(dataset)
    given = {name: value for name, value in settings.items() if value is not None}
    if epochs is not None:
        warmup = max(1, round(usual.warmup_epochs * epochs / usual.epochs))
        given |= {"epochs": epochs, "warmup_epochs": warmup}
    return dataclasses.replace(usual, device=device or best_device(), **given)


def best_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


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


def report_failed(failed: Mapping[str, str], total: int) -> None:
    """Name every video that could not be read, and end with exit code 1 if there is one."""
    if not failed:
        return
    err.print(f"{len(failed)} of {total} videos could not be read:", style="red")
    for error in failed.values():
        err.print(f"  {error}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)
