"""A step is computed as usual, then recorded once, then replayed with other videos."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from tiny import TRAINING, tiny_dataset, tiny_network

from link.capture import WARM_UP, Replay, step_taker
from link.runs import RunFolder
from link.training import fit


class Stream:
    def wait_stream(self, other):
        pass


class Recorder:
    """Stands in for torch's CUDA graphs: keeps what a step does while it is recorded."""

    def __init__(self, monkeypatch):
        self.recording, self.log, self.kept = False, [], []
        monkeypatch.setattr(torch.cuda, "device", self.beside)
        monkeypatch.setattr(torch.cuda, "Stream", Stream)
        monkeypatch.setattr(torch.cuda, "current_stream", Stream)
        monkeypatch.setattr(torch.cuda, "stream", self.beside)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: self)
        monkeypatch.setattr(torch.cuda, "graph", self.record)

    @contextmanager
    def beside(self, stream_or_device):
        yield

    @contextmanager
    def record(self, graph):
        self.recording = True
        yield
        self.recording = False

    def step(self, chosen):
        if self.recording:
            self.kept.append(chosen)
        else:
            self.log.append(("computed", chosen.tolist()))

    def replay(self):
        # A graph reads the very memory that it was recorded with.
        (chosen,) = self.kept
        self.log.append(("replayed", chosen.tolist()))


def test_a_step_is_recorded_once_and_replayed_with_what_it_is_called_with(monkeypatch):
    graphs = Recorder(monkeypatch)
    take = Replay(torch.device("cuda"))
    batches = [torch.arange(start, start + 4) for start in range(0, 24, 4)]
    batches.insert(5, torch.tensor([90, 91]))
    for batch in batches:
        take(graphs.step, batch)
    words = ["computed"] * WARM_UP + ["replayed"] * 2 + ["computed", "replayed"]
    expected = [(word, batch.tolist()) for word, batch in zip(words, batches, strict=True)]
    assert graphs.log == expected
    assert batches[3].tolist() == [12, 13, 14, 15]


def test_an_odd_batch_is_no_warm_up(monkeypatch):
    graphs = Recorder(monkeypatch)
    take = Replay(torch.device("cuda"))
    for size in (4, 2, 2, 2, 4, 4):
        take(graphs.step, torch.zeros(size, dtype=torch.long))
    assert not graphs.kept
    take(graphs.step, torch.ones(4, dtype=torch.long))
    assert graphs.log[-1] == ("replayed", [1, 1, 1, 1])


def test_a_recording_that_fails_is_not_replayed(monkeypatch):
    graphs = Recorder(monkeypatch)
    take, batch = Replay(torch.device("cuda")), torch.arange(4)
    for _ in range(WARM_UP):
        take(graphs.step, batch)

    def failing(chosen):
        raise MemoryError

    for _ in range(2):
        with pytest.raises(MemoryError):
            take(failing, batch)
    assert take.graph is None and len(graphs.log) == WARM_UP


def test_on_a_cpu_a_step_is_taken_as_it_is():
    seen = []
    step_taker(torch.device("cpu"))(seen.append, "videos")
    assert seen == ["videos"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_on_a_gpu_a_resumed_training_goes_on_where_it_stopped(tmp_path):
    dataset, network = tiny_dataset(), tiny_network(dropout=0.0)
    config = replace(TRAINING, device="cuda", mode="fast")
    whole = fit(dataset, network, config)

    def stop(record):
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(dataset, network, config, RunFolder(tmp_path / "r", dataset, network, config), stop)
    folder = RunFolder(tmp_path / "r", dataset, network, config, resume=True)
    resumed = fit(dataset, network, config, folder)
    for expected, found in zip(whole.history, resumed.history, strict=True):
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("mode", ["fast", "half"])
def test_on_a_gpu_the_recorded_training_is_the_plain_one(mode):
    dataset, network = tiny_dataset(), tiny_network(dropout=0.0)
    config = replace(TRAINING, device="cuda")
    plain, recorded = (fit(dataset, network, replace(config, mode=m)) for m in ("plain", mode))
    for expected, found in zip(plain.history, recorded.history, strict=True):
        tolerance = 1e-3 if mode == "fast" else 3e-2
        assert found["loss"] == pytest.approx(expected["loss"], rel=tolerance)
