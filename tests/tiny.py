"""A data set and a network so small that a test can train one in a tenth of a second."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from link.capture import WARM_UP
from link.dataset import Dataset
from link.model import LinkConfig
from link.simulation import SimulationConfig, simulate
from link.training import TrainingConfig, fitting_config

# Networks this small only lose by a second thread, and on a busy machine twentyfold.
torch.set_num_threads(1)

#: Everything is said here, so that a new calibration of llp-sim moves no golden value.
SIMULATION = SimulationConfig(
    train=24,
    val=10,
    test=12,
    audio_dim=9,
    visual_dim=8,
    motion_dim=7,
    misalignment=1.0,
    leakage=0.25,
    scene=0.5,
    noise_audio=1.0,
    noise_visual=0.8,
    teacher_error=0.7,
    seed=5,
)
TRAINING = TrainingConfig(
    epochs=4,
    batch_size=7,
    learning_rate=3e-3,
    final_learning_rate=3e-5,
    warmup_epochs=1,
    seed=3,
)

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
#: Each epoch ends with a smaller batch, which is computed, recorded and replayed as well.
ON_GPU = replace(TRAINING, device="cuda", mode="fast", epochs=WARM_UP + 3)


@cache
def tiny_dataset() -> Dataset:
    return simulate(SIMULATION)


def tiny_network(dataset: Dataset | None = None, **switches) -> LinkConfig:
    """Everything of LINK is on, unless ``switches`` say otherwise."""
    sizes = {"hidden": 8, "heads": 2, "feed_forward": 12, "layers": 1}
    return fitting_config(dataset or tiny_dataset(), **sizes, **switches)
