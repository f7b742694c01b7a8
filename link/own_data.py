"""A data set of one's own: extracted features and weak labels make pseudo-labels and splits."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from link.clip_features import ClipStore, clip_priors
from link.dataset import SPLITS, Dataset, Split
from link.events import SEGMENTS, Event, Modality, Parsing
from link.label_files import LabelError, WeakLabels
from link.pseudo_labels import Captions, keep_weak, text_features

if TYPE_CHECKING:
    from link.encoders import ClapEncoder, ClipEncoder

#: Of the videos whose file names no split, this part is selected on, and as much evaluated on.
HELD_OUT = 0.1


def label_clips(
    store: ClipStore,
    weak: WeakLabels,
    captions: Captions,
    clip: "ClipEncoder",
    clap: "ClapEncoder",
    events: Mapping[str, Sequence[Event]] | None = None,
    name: str = "own videos",
) -> Dataset:
    """A data set, of this name, of all clips of the labelled videos in a store.

    A clip is an example of its own. Where a video is longer than one, each of its clips has the
    labels of the video, though an event may be in another clip: cut long videos up and label the
    parts if you can. Priors are what the teachers say of the captions, targets are priors of the
    weak labels' classes (`link.pseudo_labels`). Videos of the store that the labels do not name
    are left out, which the provenance says; so are those that could not be read.

    Where the labels name no splits, a tenth of the videos is selected on and a tenth evaluated on,
    chosen by a hash of their names.

    A split in which `events` has every video is annotated. One in which it has none is not, nor is
    the train split if it lacks one.

    Raises LabelError where a labelled video is not in the store, a class has no caption, an event
    does not fit, or a split is left without a video; and where the encoders are not those that
    made the features, which no caption of theirs can be compared with.
    """
    for modality, encoder in (("audio", clap), ("visual", clip)):
        if encoder.name != store.encoders[modality]:
            raise LabelError(
                f"the {modality} features in {store.path} were made with "
                f"{store.encoders[modality]}, and not with {encoder.name}: use the same"
            )
    names = _names_to_use(store, weak)
    unknown = set(weak.classes) - set(captions.classes)
    if unknown:
        raise LabelError(
            f"{weak.path} has the class {min(unknown)!r}, for which there is no caption; the "
            f"captions are of {', '.join(captions.classes)}"
        )
    texts = audio_text, visual_text = text_features(clap, clip, captions)
    heard, seen = clip_priors(store.features, texts, captions, clip, clap)
    split_of = weak.splits or _draw_splits(names)
    splits = {}
    for split in SPLITS:
        chosen = [name for name in names if split_of[name] == split]
        if not chosen:
            raise LabelError(
                f"no video is left in the split {split}: name more of them in {weak.path}"
            )
        rows = np.concatenate([np.arange(len(store.starts))[store.rows[name]] for name in chosen])
        clips_of = [store.rows[name].stop - store.rows[name].start for name in chosen]
        labels = np.array(
            [[each in weak.labels[name] for each in captions.classes] for name in chosen]
        )
        label = np.repeat(labels, clips_of, axis=0)
        truth = _truth(store, chosen, events, captions.classes, split) if events else {}
        splits[split] = Split(
            names=_clip_names(store, chosen),
            audio=store.features.audio[rows],
            visual=store.features.visual[rows],
            weak=label,
            audio_prior=heard[rows],
            visual_prior=seen[rows],
            audio_target=keep_weak(heard[rows], label),
            visual_target=keep_weak(seen[rows], label),
            **truth,
        )
    return Dataset(
        name=name,
        simulated=False,
        classes=captions.classes,
        **splits,
        audio_text=audio_text,
        visual_text=visual_text,
        provenance={
            "source": "videos of one's own",
            "encoders": dict(store.encoders),
            "captions": captions.record(),
            "left_out": {
                "without a label": sorted({v["name"] for v in store.videos} - set(weak.labels)),
                "not readable": [failed["name"] for failed in store.failed],
            },
        },
    )


def _draw_splits(names: Sequence[str]) -> dict[str, str]:
    drawn = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    held_out = max(1, round(HELD_OUT * len(drawn)))
    split_of = dict.fromkeys(drawn, "train")
    split_of |= dict.fromkeys(drawn[:held_out], "val")
    return split_of | dict.fromkeys(drawn[held_out : 2 * held_out], "test")


def _names_to_use(store: ClipStore, weak: WeakLabels) -> list[str]:
    failed = {failed["name"] for failed in store.failed}
    missing = [name for name in weak.labels if name not in store.rows and name not in failed]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise LabelError(
            f"{store.path} lacks {', '.join(missing[:5])}{more}, which {weak.path} labels: "
            "extract these videos too, or remove their rows"
        )
    return [name for name in weak.labels if name in store.rows]


def _clip_names(store: ClipStore, names: Sequence[str]) -> list[str]:
    """A clip is called as its video; where there are several, with the seconds it spans."""
    found = []
    for name in names:
        starts = store.starts[store.rows[name]].tolist()
        if len(starts) == 1:
            found.append(name)
        else:
            found += [f"{name}_{start}_{start + SEGMENTS}" for start in starts]
    return found


def _truth(
    store: ClipStore,
    names: Sequence[str],
    events: Mapping[str, Sequence[Event]],
    classes: tuple[str, ...],
    split: str,
) -> dict[str, np.ndarray]:
    """Both modalities' truth of a split's clips; nothing where no video is annotated."""
    bare = [name for name in names if name not in events]
    if bare and (split == "train" or len(bare) == len(names)):
        return {}
    if bare:
        raise LabelError(
            f"the events of {bare[0]} are not given, but those of other videos in its split, "
            f"{split}: add a row with its name alone if there are none"
        )
    truth: dict[Modality, list[np.ndarray]] = {"audio": [], "visual": []}
    videos = {video["name"]: video for video in store.videos}
    for name in names:
        fitting = _cut_off(events[name], videos[name])
        try:
            whole = Parsing.from_events(fitting, videos[name]["segments"], classes)
        except ValueError as error:
            raise LabelError(f"the annotation of {name}: {error}") from error
        for start in store.starts[store.rows[name]].tolist():
            for modality, grids in truth.items():
                grid = getattr(whole, modality)[start : start + SEGMENTS]
                grids.append(np.pad(grid, ((0, SEGMENTS - len(grid)), (0, 0))))
    return {f"{modality}_truth": np.stack(grids) for modality, grids in truth.items()}


def _cut_off(events: Sequence[Event], video: Mapping[str, Any]) -> Iterator[Event]:
    """Events without what is left of a video after its last segment, less than half a second."""
    for event in events:
        if event.offset <= video["segments"] or event.offset > video["duration"] + 1e-3:
            yield event
        elif event.onset < video["segments"]:
            yield replace(event, offset=float(video["segments"]))
