"""Data of the real shapes, with random numbers: published files, and a store of them."""

from pathlib import Path

import numpy as np
import pandas as pd
from published import CLASSES, SEGMENTS, Videos

from link.dataset import Dataset, Split
from link.events import CLASSES as NAMES
from link.features import audio_map_matrix, write_store

SHAPES = {"audio": (64, 768), "visual": (SEGMENTS, 768), "motion": (SEGMENTS, 512)}


def published_files(folder: Path, sizes: dict[str, int], seed: int = 0) -> dict[str, pd.DataFrame]:
    """Writes an array file a video and kind; returns each split's table of weak labels."""
    random = np.random.default_rng(seed)
    for place in Videos.kinds.values():
        (folder / place).mkdir(parents=True)
    tables, number = {}, 0
    for split, size in sizes.items():
        rows = []
        for _ in range(size):
            name, number = f"{number:011d}_0_10", number + 1
            labels = random.permutation(CLASSES)[: random.integers(1, 4)]
            for kind, place in Videos.kinds.items():
                if kind in SHAPES:
                    array = random.standard_normal(SHAPES[kind], np.float32)
                else:
                    array = np.zeros((SEGMENTS, CLASSES), np.int64)
                    array[:, labels] = random.random((SEGMENTS, len(labels))) < 0.6
                np.save(folder / place / f"{name[:11]}.npy", array)
            rows.append((name, ",".join(NAMES[label] for label in labels)))
        tables[split] = pd.DataFrame(rows, columns=["filename", "event_labels"])
    return tables


def annotations(table: pd.DataFrame, seed: int = 1) -> list[pd.DataFrame]:
    """Made-up annotations of what is heard and what is seen in a split's videos."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(2):
        rows = []
        for name, labels in table.itertuples(index=False):
            for label in labels.split(","):
                onset = int(random.integers(0, 8))
                rows.append((name, onset, int(random.integers(onset + 1, 11)), label))
        columns = ["filename", "onset", "offset", "event_labels"]
        found.append(pd.DataFrame(rows, columns=columns))
    return found


def as_dataset(
    folder: Path, tables: dict[str, pd.DataFrame], truth: dict[str, list[np.ndarray]]
) -> Dataset:
    """The same numbers in the form of the package, with the audio map applied."""
    matrix, splits = audio_map_matrix().astype(np.float32), {}
    for split, table in tables.items():
        videos = Videos(folder, table, list(NAMES))
        samples = [videos[index] for index in range(len(videos))]
        arrays = {kind: np.stack([each[kind] for each in samples]) for kind in Videos.kinds}
        arrays["audio"] = matrix @ arrays["audio"]
        weak = np.stack([each["weak"] for each in samples]).astype(bool)
        for kind in ("audio_target", "visual_target"):
            arrays[kind] = arrays[kind].astype(bool)
            # What PLSIM reads; here the same, for its time does not depend on what is in it.
            arrays[kind.replace("target", "prior")] = arrays[kind]
        if split in truth:
            arrays["audio_truth"], arrays["visual_truth"] = truth[split]
        splits[split] = Split(names=tuple(table["filename"]), weak=weak, **arrays)
    random = np.random.default_rng(2)
    texts = {
        "audio_text": random.standard_normal((CLASSES, 512), np.float32),
        "visual_text": random.standard_normal((CLASSES, 768), np.float32),
    }
    return Dataset(name="random numbers", simulated=True, classes=NAMES, **splits, **texts)


def full_size_store(path: Path) -> Path:
    """A store of 11,849 videos; its arrays are one video's, over and over."""

    def split(size: int) -> Split:
        def repeated(shape: tuple[int, ...], dtype: type) -> np.ndarray:
            return np.broadcast_to(np.zeros(shape, dtype), (size, *shape))

        label = repeated((SEGMENTS, CLASSES), bool)
        return Split(
            names=tuple(f"{size}{index:07d}" for index in range(size)),
            audio=repeated((SEGMENTS, 768), np.float32),
            visual=repeated((SEGMENTS, 768), np.float32),
            motion=repeated((SEGMENTS, 512), np.float32),
            weak=repeated((CLASSES,), bool),
            audio_target=label,
            visual_target=label,
            audio_truth=label,
            visual_truth=label,
        )

    splits = {"train": split(10_000), "val": split(649), "test": split(1_200)}
    return write_store(path, Dataset("zeros", True, NAMES, **splits))
