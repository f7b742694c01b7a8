"""LLP as it is published, in small: annotation files and the two archives, made up here."""

import io
import zipfile

import numpy as np

from link.events import CLASSES

#: Names of the videos, by split; the classes of a video follow from its place.
SPLITS = {
    "train": [f"train--vid{i}_30_40" for i in range(3)],
    "val": [f"val----vid{i}_0_10" for i in range(2)],
    "test": [f"test---vid{i}_120_130" for i in range(2)],
}
VIDEOS = [name for names in SPLITS.values() for name in names]
SHAPES = {
    "CLIP/features": (10, 768),
    "CLIP/segment_pseudo_labels": (10, 25),
    "CLAP/features": (64, 768),
    "CLAP/segment_pseudo_labels": (10, 25),
}


def annotation_files() -> dict[str, bytes]:
    weak = {split: [(name, _class(name)) for name in names] for split, names in SPLITS.items()}
    events = [(name, "0", "4", _class(name)) for name in SPLITS["val"] + SPLITS["test"]]
    everything = [row for rows in weak.values() for row in rows]
    return {
        "AVVP_train.csv": _table(("filename", "event_labels"), weak["train"]),
        "AVVP_val_pd.csv": _table(("filename", "event_labels"), weak["val"]),
        "AVVP_test_pd.csv": _table(("filename", "event_labels"), weak["test"]),
        "AVVP_dataset_full.csv": _table(("filename", "event_labels"), everything),
        "AVVP_eval_audio.csv": _table(("filename", "onset", "offset", "event_labels"), events),
        "AVVP_eval_visual.csv": _table(("filename", "onset", "offset", "event_labels"), events),
    }


def arrays() -> dict[str, bytes]:
    """The published arrays: the bytes of each file, by its path in the folder."""
    rng = np.random.default_rng(0)
    files = {}
    for folder, shape in SHAPES.items():
        for name in VIDEOS:
            array = rng.normal(size=shape).astype(np.float32)
            if "pseudo" in folder:
                array = (array > 0) & (np.array(CLASSES) == _class(name))
                array = array.astype(np.int64)
            file = io.BytesIO()
            np.save(file, array)
            files[f"{folder}/{name[:11]}.npy"] = file.getvalue()
    return files


def archive(entries: dict[str, bytes]) -> bytes:
    """A zip file of these entries, the same for the same entries."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        for name, content in entries.items():
            made.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def archives() -> dict[str, bytes]:
    """CLIP.zip as macOS packs a folder, CLAP.zip as it is without the folder around it."""
    files = arrays()
    clip = {"CLIP/": b"", "CLIP/.DS_Store": b"view", "CLIP/features/.DS_Store": b"view"}
    for path, content in files.items():
        if path.startswith("CLIP/"):
            clip[path] = content
            folder, name = path.rsplit("/", 1)
            clip[f"__MACOSX/{folder}/._{name}"] = b"attributes"
    clap = {
        path.removeprefix("CLAP/"): content
        for path, content in files.items()
        if path.startswith("CLAP/")
    }
    return {"CLIP.zip": archive(clip), "CLAP.zip": archive(clap | {"README.txt": b"hello"})}


def _class(name: str) -> str:
    return CLASSES[VIDEOS.index(name)]


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> bytes:
    return "".join("\t".join(row) + "\n" for row in (columns, *rows)).encode()
