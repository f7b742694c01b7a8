"""The procedure of VALOR's published code, written out plainly: what speed is measured against.

Nothing here comes from the package, and nothing is cleverer than the original: one array file a
video and kind, audio upsampled to 2 x 1024 cells in every step, evaluation of one video at a time,
scores by loops over classes and events, annotations looked up in a table for every video.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

CLASSES = 25
SEGMENTS = 10


class Videos(Dataset):
    """The five array files of each video, read when it is asked for, and its weak label."""

    kinds: ClassVar = {
        "audio": "CLAP/features",
        "visual": "CLIP/features",
        "motion": "feats/r2plus1d_18",
        "audio_target": "CLAP/segment_pseudo_labels",
        "visual_target": "CLIP/segment_pseudo_labels",
    }

    def __init__(self, folder: Path, table: pd.DataFrame, classes: list[str]) -> None:
        self.folder, self.table, self.classes = folder, table, classes

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> dict:
        row = self.table.loc[index, :]
        video = row["filename"][:11]
        found = {
            kind: np.load(self.folder / place / f"{video}.npy")
            for kind, place in self.kinds.items()
        }
        weak = np.zeros(CLASSES)
        for label in row["event_labels"].split(","):
            weak[self.classes.index(label)] = 1
        return {**found, "weak": weak, "name": row["filename"]}


class Layer(nn.Module):
    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.own = nn.MultiheadAttention(width, heads, dropout=0.1)
        self.cross = nn.MultiheadAttention(width, heads, dropout=0.1)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.drops = nn.ModuleList(nn.Dropout(0.1) for _ in range(4))

    def forward(self, own: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        own, other = own.permute(1, 0, 2), other.permute(1, 0, 2)
        crossed = self.cross(own, other, other)[0]
        kept = self.own(own, own, own)[0]
        own = self.first(own + self.drops[0](crossed) + self.drops[1](kept))
        inner = self.down(self.drops[2](functional.relu(self.up(own))))
        return self.second(own + self.drops[3](inner)).permute(1, 0, 2)


class Network(nn.Module):
    """VALOR++: 256 wide, 4 layers, 8 heads, 1024 in the feed-forward part."""

    def __init__(
        self, width: int = 256, heads: int = 8, inner: int = 1024, layers: int = 4
    ) -> None:
        super().__init__()
        self.audio, self.visual = nn.Linear(768, width), nn.Linear(768, width)
        self.motion, self.fusion = nn.Linear(512, width), nn.Linear(2 * width, width)
        self.layers = nn.ModuleList(Layer(width, heads, inner) for _ in range(4))
        self.event = nn.Linear(width, CLASSES)
        self.in_time, self.in_modality = nn.Linear(width, CLASSES), nn.Linear(width, CLASSES)

    def forward(self, audio: torch.Tensor, visual: torch.Tensor, motion: torch.Tensor):
        cells = audio.permute(0, 2, 1).contiguous().view(len(audio), 768, 2, 32)
        fine = functional.interpolate(cells, size=(2, 1024), mode="bicubic")
        projected = self.audio(fine.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).mean(dim=2)
        heard = functional.adaptive_avg_pool1d(projected, SEGMENTS).permute(0, 2, 1)
        seen = self.fusion(torch.cat([self.visual(visual), self.motion(motion)], dim=-1))
        for layer in self.layers:
            heard = layer(heard, seen)
            seen = layer(seen, heard)
        both = torch.stack([heard, seen], dim=2)
        logits = self.event(both)
        probability = logits.sigmoid()
        weighted = probability * self.in_time(both).softmax(dim=1)
        video = (weighted * self.in_modality(both).softmax(dim=2)).sum(dim=(1, 2))
        return video, probability, logits


def loader(videos: Videos, batch: int, shuffled: bool) -> DataLoader:
    return DataLoader(videos, batch_size=batch, shuffle=shuffled)


def on_device_of(network: Network, batches: DataLoader) -> Iterator[dict]:
    device = next(network.parameters()).device
    for batch in batches:
        yield {
            kind: each.to(device) if isinstance(each, torch.Tensor) else each
            for kind, each in batch.items()
        }


def train_epoch(network: Network, batches: DataLoader, optimiser: torch.optim.Optimizer) -> float:
    network.train()
    total = 0.0
    for batch in on_device_of(network, batches):
        optimiser.zero_grad()
        video, _, logits = network(batch["audio"], batch["visual"], batch["motion"])
        loss = functional.binary_cross_entropy(video.clamp(1e-7, 1 - 1e-7), batch["weak"].float())
        for index, kind in enumerate(("audio_target", "visual_target")):
            loss = loss + functional.binary_cross_entropy_with_logits(
                logits[:, :, index], batch[kind].float()
            )
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        # The original measures the norm once more, for its log.
        sum(p.grad.norm(2).item() ** 2 for p in network.parameters() if p.grad is not None)
        optimiser.step()
        total += loss.item() * len(video)
    return total / len(batches.dataset)


@torch.no_grad()
def evaluate(network: Network, videos: Videos, tables: list[pd.DataFrame]) -> dict[str, float]:
    """The ten scores; `tables` are the annotations of what is heard and what is seen."""
    network.eval()
    found = []
    for batch in on_device_of(network, loader(videos, 1, False)):
        video, probability, _ = network(batch["audio"], batch["visual"], batch["motion"])
        said = (video.cpu().numpy() >= 0.5).astype(int)
        grids = (probability[0].cpu().numpy() >= 0.5).astype(int) * said[None]
        truth = [grid_of(table, batch["name"][0], videos.classes) for table in tables]
        found.append(video_scores(grids[:, 0].T, grids[:, 1].T, *truth))
    return mean_scores(found)


def grid_of(table: pd.DataFrame, name: str, classes: list[str]) -> np.ndarray:
    grid = np.zeros((CLASSES, SEGMENTS))
    rows = table.loc[table["filename"] == name]
    for index in range(len(rows)):
        row = rows.iloc[index]
        grid[classes.index(row["event_labels"]), int(row["onset"]) : int(row["offset"])] = 1
    return grid


def mean_scores(found: list[dict[str, float]]) -> dict[str, float]:
    mean = {key: 100 * float(np.mean([each[key] for each in found])) for key in found[0]}
    for level in ("segment", "event"):
        kinds = [mean[f"{level}/{kind}"] for kind in ("audio", "visual", "audio_visual")]
        mean[f"{level}/type"] = sum(kinds) / 3
    return mean


# ---- scores, one video after another; grids are (classes, segments) ----


def video_scores(heard, seen, true_heard, true_seen) -> dict[str, float]:
    pairs = {
        "audio": (heard, true_heard),
        "visual": (seen, true_seen),
        "audio_visual": (heard * seen, true_heard * true_seen),
    }
    scores = {}
    for level, count in (("segment", segment_counts), ("event", event_counts)):
        counts = {kind: count(*pair) for kind, pair in pairs.items()}
        for kind, each in counts.items():
            scores[f"{level}/{kind}"] = f_score(each)
        scores[f"{level}/event"] = f_score(counts["audio"] + counts["visual"])
    return scores


def f_score(counts: np.ndarray) -> float:
    by_class = []
    for hit, extra, missed in counts:
        if hit + extra != 0 or hit + missed != 0:
            by_class.append(2 * hit / (2 * hit + extra + missed))
    return sum(by_class) / len(by_class) if by_class else 1.0


def segment_counts(said: np.ndarray, true: np.ndarray) -> np.ndarray:
    counts = np.zeros((CLASSES, 3))
    for index in range(CLASSES):
        counts[index, 0] = np.sum(said[index] * true[index])
        counts[index, 1] = np.sum(said[index] * (1 - true[index]))
        counts[index, 2] = np.sum((1 - said[index]) * true[index])
    return counts


def event_counts(said: np.ndarray, true: np.ndarray) -> np.ndarray:
    counts = np.zeros((CLASSES, 3))
    for index in range(CLASSES):
        events, actual = stretches(said[index]), stretches(true[index])
        hits = 0
        for event in events:
            overlaps = [np.sum(event * other) / np.sum((event + other) > 0) for other in actual]
            hits += bool(overlaps) and max(overlaps) >= 0.5
        counts[index] = hits, len(events) - hits, len(actual) - hits
    return counts


def stretches(row: np.ndarray) -> list[np.ndarray]:
    found, start = [], None
    for position in range(SEGMENTS + 1):
        active = position < SEGMENTS and row[position] != 0
        if active and start is None:
            start = position
        if not active and start is not None:
            stretch = np.zeros(SEGMENTS)
            stretch[start:position] = 1
            found.append(stretch)
            start = None
    return found
