"""Reading the features and pseudo-labels that VALOR published, one file a video.

A folder holds (id: the first 11 characters of a video's name in LLP)::

    CLIP/features/<id>.npy               (10, 768) visual features
    CLAP/features/<id>.npy               (64, 768) audio feature map, 2 frequency x 32 time cells
    feats/r2plus1d_18/<id>.npy           (10, 512) motion features, which may be absent
    CLIP/segment_pseudo_labels/<id>.npy  (10, 25) visual pseudo-labels, 0 or 1
    CLAP/segment_pseudo_labels/<id>.npy  (10, 25) audio pseudo-labels, 0 or 1

The motion features were published apart from the others, so a folder may be without them: the
data set then has none.

The pseudo-labels were filtered by the weak labels, those of test videos included. So they are
targets of training and never a model's input; the folder holds no priors.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from link.dataset import SPLITS, Dataset, FeatureError, Split
from link.events import CLASSES, SEGMENTS
from link.features import audio_map_matrix
from link.llp import LLP, video_id

LISTED = 20
READERS = 8


@dataclass(frozen=True)
class Source:
    """A folder of one array a video, and what must hold of each array."""

    field: str
    folder: str
    shape: tuple[int, int]

    @property
    def is_label(self) -> bool:
        return self.field.endswith("_target")


MOTION = Source("motion", "feats/r2plus1d_18", (SEGMENTS, 512))
SOURCES = (
    Source("visual", "CLIP/features", (SEGMENTS, 768)),
    Source("audio", "CLAP/features", (64, 768)),
    MOTION,
    Source("visual_target", "CLIP/segment_pseudo_labels", (SEGMENTS, len(CLASSES))),
    Source("audio_target", "CLAP/segment_pseudo_labels", (SEGMENTS, len(CLASSES))),
)


class _Fault(Exception):
    """Why an array cannot be used: `kind` to count by, and the particulars."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


def read_valor_folders(
    folder: str | Path,
    llp: LLP,
    skip_bad: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Reads the published features of all videos of `llp` into a data set in memory.

    Audio features go through `audio_map_matrix` and come out as (N, 10, 768); all features are
    float32, targets bool. Priors and text features are None, `weak` and truth are those of `llp`.

    Every array is checked before anything is returned: it must be there, readable, of the right
    shape and type, and finite; pseudo-labels must be 0 or 1 and within the weak label. With
    `skip_bad`, a video with a faulty array is left out instead, and the provenance names it.

    on_progress: called as (videos done, videos in all) after each video.

    Without the folder of motion features, `motion` is None, in the splits and in the provenance.

    Raises FeatureError when one of the other four folders is absent, when arrays are faulty (the
    message counts them by kind and lists the first 20; `problems` has all as (path, reason)),
    and when a split has no video left.
    """
    folder = Path(folder)
    sources = _check_layout(folder)
    total = sum(len(getattr(llp, name).names) for name in SPLITS)
    faults: list[tuple[Path, _Fault]] = []
    splits: dict[str, Split] = {}
    left_out: dict[str, list[str]] = {}
    done = 0
    for name in SPLITS:
        annotated = getattr(llp, name)
        arrays = _allocate(sources, len(annotated.names))
        good = np.ones(len(annotated.names), dtype=bool)
        with closing(_read_all(folder, sources, annotated, arrays)) as faults_of_videos:
            for index, found in enumerate(faults_of_videos):
                good[index] = not found
                faults += found
                done += 1
                if on_progress:
                    on_progress(done, total)
        split = Split(
            names=annotated.names,
            weak=annotated.weak,
            audio_truth=annotated.audio,
            visual_truth=annotated.visual,
            **arrays,
        )
        splits[name] = split if good.all() else split.subset(good)
        left_out[name] = [split.names[index] for index in np.flatnonzero(~good)]

    problems = [(path, str(fault)) for path, fault in faults]
    counts = Counter(fault.kind for _, fault in faults)
    summary = ", ".join(f"{kind} {count}" for kind, count in counts.most_common())
    if faults and not skip_bad:
        raise FeatureError(_account(folder, problems, summary, left_out), problems)
    for name, split in splits.items():
        if len(split) == 0:
            raise FeatureError(
                f"{folder}: no video is left in {name} ({summary or 'it lists none'}); "
                "download or unpack its files again",
                problems,
            )
    return Dataset(
        name="llp",
        simulated=False,
        classes=CLASSES,
        **splits,
        provenance={
            "source": "features published with VALOR (Lai et al., NeurIPS 2023)",
            "audio": "CLAP feature maps, pooled to segments",
            "visual": "CLIP ViT-L/14",
            "motion": "R(2+1)D-18" if MOTION in sources else None,
            "left_out": left_out,
            "faulty_arrays": dict(counts),
        },
    )


def _check_layout(folder: Path) -> tuple[Source, ...]:
    """The sources that are there: all, or all but motion."""
    if not folder.is_dir():
        raise FeatureError(f"{folder} is no folder; name the one that holds CLIP/ and CLAP/")
    present = tuple(source for source in SOURCES if (folder / source.folder).is_dir())
    absent = [source.folder for source in SOURCES if source not in (*present, MOTION)]
    if absent:
        expected = ", ".join(source.folder for source in SOURCES if source != MOTION)
        raise FeatureError(
            f"{folder} lacks {', '.join(absent)}: expected are {expected}, each with one "
            "<video id>.npy a video, as CLIP.zip and CLAP.zip of VALOR's published features "
            f"unpack, and, if at hand, {MOTION.folder} of AVVP-ECCV20"
        )
    return present


def _allocate(sources: tuple[Source, ...], videos: int) -> dict[str, np.ndarray]:
    """Room for one split; audio already has its form after the map."""
    return {
        source.field: np.zeros(
            (videos, SEGMENTS, source.shape[1]), bool if source.is_label else np.float32
        )
        for source in sources
    }


def _read_all(
    folder: Path, sources: tuple[Source, ...], annotated: Any, arrays: dict[str, np.ndarray]
) -> Iterator[list[tuple[Path, _Fault]]]:
    """Fills `arrays`; yields the faults of each video, in the order of the split."""
    matrix = audio_map_matrix()

    def read_video(index: int) -> list[tuple[Path, _Fault]]:
        faults = []
        for source in sources:
            path = folder / source.folder / f"{video_id(annotated.names[index])}.npy"
            try:
                array = _load(path, source)
                if source.is_label:
                    _check_label(array, annotated.weak[index])
                elif source.field == "audio":
                    array = matrix @ array
                arrays[source.field][index] = array
            except _Fault as fault:
                faults.append((path, fault))
        return faults

    with ThreadPoolExecutor(READERS) as pool:
        try:
            yield from pool.map(read_video, range(len(annotated.names)))
        finally:
            pool.shutdown(cancel_futures=True)


def _load(path: Path, source: Source) -> np.ndarray:
    """One array as it is on disk; features as float32. Raises _Fault."""
    if not path.is_file():
        raise _Fault("missing")
    try:
        array = np.load(path, allow_pickle=False)
    # A damaged file makes numpy raise almost anything; whatever it is, it is to be reported.
    except Exception as error:
        raise _Fault("unreadable", " ".join(str(error).split())) from error
    if not isinstance(array, np.ndarray):
        raise _Fault("unreadable", "an archive in place of an array")
    if array.shape != source.shape:
        raise _Fault("wrong shape", f"{array.shape}, expected {source.shape}")
    if array.dtype.kind not in ("biu" if source.is_label else "f"):
        wanted = "integers or booleans" if source.is_label else "floating point"
        raise _Fault("wrong type", f"{array.dtype}, expected {wanted}")
    if source.is_label:
        return array
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    bad = array.size - np.count_nonzero(np.isfinite(array))
    if bad:
        raise _Fault("not finite", f"{bad} of {array.size} values are NaN, infinite or too large")
    return array


def _check_label(array: np.ndarray, weak: np.ndarray) -> None:
    if not np.isin(array, (0, 1)).all():
        raise _Fault("not 0 or 1", f"values from {array.min()} to {array.max()}")
    outside = array.any(axis=0) & ~weak
    if outside.any():
        named = ", ".join(CLASSES[index] for index in np.flatnonzero(outside))
        raise _Fault("outside the weak label", named)


def _account(
    folder: Path, problems: list[tuple[Path, str]], summary: str, left_out: dict[str, list[str]]
) -> str:
    videos = sum(len(names) for names in left_out.values())
    lines = [f"{folder}: {len(problems)} faulty arrays of {videos} videos ({summary})"]
    lines += [f"  {path}: {reason}" for path, reason in problems[:LISTED]]
    if len(problems) > LISTED:
        lines.append(f"  and {len(problems) - LISTED} more: all are in the error's `problems`")
    lines.append(
        "Download or unpack these files again, or pass skip_bad=True (--skip-bad) to leave "
        "their videos out."
    )
    return "\n".join(lines)
