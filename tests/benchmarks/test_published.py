"""What speed is measured against computes the same as the package."""

import numpy as np
import pandas as pd
import pytest
import torch
from made_up import annotations, as_dataset, published_files
from published import Network, Videos, evaluate, grid_of, loader, train_epoch

from link.events import CLASSES
from link.inference import evaluate as score
from link.metrics import SCORES
from link.model import LINK, LinkConfig
from link.training import TrainingConfig, make_optimiser
from link.training import train_epoch as plain_epoch

NAMES = {
    "audio": "projection.audio",
    "visual": "projection.visual",
    "motion": "projection.motion",
    "fusion": "projection.fusion",
    "event": "pooling.event",
    "in_time": "pooling.segment_attention",
    "in_modality": "pooling.modality_attention",
    "own": "self_attention",
    "cross": "cross_attention",
    "up": "expand",
    "down": "contract",
    "first": "norm1",
    "second": "norm2",
    "layers": "encoder.layers",
}


def ours(network: Network) -> LINK:
    """VALOR++'s network in the package, with the weights of the published one."""
    model = LINK(LinkConfig.valor(dropout=0.0))
    weights = {}
    for name, weight in network.state_dict().items():
        weights[".".join(NAMES.get(part, part) for part in name.split("."))] = weight.clone()
    model.load_state_dict(weights)
    return model


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    tables = published_files(folder, {"train": 6, "val": 4, "test": 2})
    marked = {split: annotations(tables[split]) for split in ("val", "test")}
    truth = {
        split: [grids(each, tables[split]["filename"]) for each in events]
        for split, events in marked.items()
    }
    return folder, tables, marked["val"], as_dataset(folder, tables, truth)


def grids(table: pd.DataFrame, names: pd.Series) -> np.ndarray:
    return np.stack([grid_of(table, name, list(CLASSES)).T > 0 for name in names])


def undropped() -> Network:
    torch.manual_seed(0)
    network = Network()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
    return network


def test_it_trains_to_the_same_losses(data):
    folder, tables, _, dataset = data
    network = undropped()
    model = ours(network)
    config = TrainingConfig(batch_size=6)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, betas=(0.5, 0.999), weight_decay=1e-3
    )
    batches = loader(Videos(folder, tables["train"], list(CLASSES)), 6, True)
    mine = make_optimiser(model, config)
    for _ in range(3):
        expected = train_epoch(network, batches, optimiser)
        rate, order = config.learning_rate, torch.Generator()
        found = plain_epoch(model, mine, dataset.train, config, rate, order)
        assert found["total"] == pytest.approx(expected, rel=1e-4)


def test_it_scores_the_same(data):
    folder, tables, marked, dataset = data
    network = undropped()
    # So that some events are predicted.
    torch.nn.init.normal_(network.event.weight, std=0.5)
    expected = evaluate(network, Videos(folder, tables["val"], list(CLASSES)), marked)
    found = score(ours(network), dataset.val)
    assert set(expected) == set(SCORES)
    assert found == pytest.approx(expected, abs=1e-9)
    assert 0 < found["segment/audio"] < 100
