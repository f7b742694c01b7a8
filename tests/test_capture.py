"""A step is computed as usual, then recorded once, then replayed with other videos."""

import itertools
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import pytest
import torch
from tiny import ON_GPU, TRAINING, needs_gpu, tiny_dataset, tiny_network
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from link.capture import WARM_UP, Replay, step_taker
from link.fast import FastTraining, Objective
from link.runs import RunFolder
from link.stack import Stack
from link.training import build, fit


class Stream:
    def wait_stream(self, other):
        pass


class Graph:
    """Stands in for torch's CUDA graphs: keeps what a step reads while it is recorded."""

    def __init__(self, log):
        self.log, self.read = log, []

    def replay(self):
        # A graph reads the very memory that it was recorded with.
        (chosen,) = self.read
        self.log.append(("replayed", chosen.tolist()))


class Recorder:
    """Steps that tell whether they are computed as usual or by a `Graph`."""

    def __init__(self, monkeypatch):
        self.recording, self.log, self.graphs, self.places = None, [], [], set()
        handles = itertools.count()
        monkeypatch.setattr(torch.cuda, "device", self.beside)
        monkeypatch.setattr(torch.cuda, "Stream", Stream)
        monkeypatch.setattr(torch.cuda, "current_stream", Stream)
        monkeypatch.setattr(torch.cuda, "stream", self.beside)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: Graph(self.log))
        monkeypatch.setattr(torch.cuda, "graph", self.record)
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, next(handles)))

    @contextmanager
    def beside(self, stream_or_device):
        yield

    @contextmanager
    def record(self, graph, pool, stream):
        self.places.add((pool, stream))
        self.recording = graph
        try:
            yield
        finally:
            self.recording = None
        self.graphs.append(graph)

    def step(self, chosen):
        if self.recording:
            self.recording.read.append(chosen)
        else:
            self.log.append(("computed", chosen.tolist()))


def test_a_step_is_recorded_once_and_replayed_with_what_it_is_called_with(monkeypatch):
    graphs = Recorder(monkeypatch)
    take = Replay(torch.device("cuda"))
    batches = [torch.arange(start, start + 4) for start in range(0, 24, 4)]
    for batch in batches:
        take(graphs.step, batch)
    words = ["computed"] * WARM_UP + ["replayed"] * 3
    expected = [(word, batch.tolist()) for word, batch in zip(words, batches, strict=True)]
    assert graphs.log == expected
    assert len(graphs.graphs) == 1
    assert batches[3].tolist() == [12, 13, 14, 15]


def test_every_size_of_batch_has_a_recording_of_its_own(monkeypatch):
    graphs = Recorder(monkeypatch)
    take = Replay(torch.device("cuda"))
    whole, rest = torch.arange(4), torch.tensor([90, 91])
    for _ in range(WARM_UP + 2):
        take(graphs.step, whole)
        take(graphs.step, rest)
    words = ["computed"] * WARM_UP + ["replayed"] * 2
    assert graphs.log == [(word, each.tolist()) for word in words for each in (whole, rest)]
    assert len(graphs.graphs) == 2
    # In one place: memory is shared, and libraries have chosen their ways on that stream.
    ((_, stream),) = graphs.places
    assert stream is take.aside


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
    assert not graphs.graphs and len(graphs.log) == WARM_UP
    take(graphs.step, batch)
    assert graphs.log[WARM_UP:] == [("replayed", batch.tolist())]


def test_on_a_cpu_a_step_is_taken_as_it_is():
    seen = []
    step_taker(torch.device("cpu"))(seen.append, "videos")
    assert seen == ["videos"]


class FromTheHost(TorchDispatchMode):
    """Keeps the names of operations that copy from the host to the device ``meta``.

    Numbers of Python are not copied: they go with the operations that they are written in.
    """

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        result = operation(*arguments, **(named or {}))
        given, made = (
            {each.device.type for each in tree_leaves(tree) if isinstance(each, torch.Tensor)}
            for tree in ((arguments, named), result)
        )
        name = operation.overloadpacket.__name__
        if name in ("_to_copy", "copy_") and "cpu" in given and "meta" in made:
            self.found.append(name)
        return result


@pytest.fixture
def no_data(monkeypatch):
    """A configuration for the device whose tensors have no data.

    As on a GPU, they do not mix with the host's, and whoever would wait for their data fails. The
    device has no autocast, and no fused optimiser.
    """
    monkeypatch.setattr(Objective, "precision", lambda self: nullcontext())
    monkeypatch.setattr(
        "link.stack.adamw", lambda others, scalars, config: torch.optim.SGD([*others, *scalars])
    )
    return replace(TRAINING, mode="fast", device="meta")


def steps(config, **switches):
    """What one network, and a stack of two, do with a batch, and the batch."""
    dataset, network = tiny_dataset(), tiny_network(dropout=0.1, **switches)
    model = build(network, dataset).to(config.device)
    alone = FastTraining(model, torch.optim.SGD(model.parameters()), dataset, config)
    stack = Stack(dataset, network, config, (0, 1))
    chosen = torch.empty(2, config.batch_size, dtype=torch.long, device=config.device)
    return [(alone, chosen[0]), (stack, chosen)]


@pytest.mark.parametrize("switches", [{}, {"tsam": False, "s_loss": False, "plsim": False}])
def test_a_step_asks_the_host_for_nothing(no_data, switches):
    for training, chosen in steps(no_data, **switches):
        # The first step makes what later ones write to.
        training._step(chosen)
        with FromTheHost() as watch:
            training._step(chosen)
        assert not watch.found


@pytest.mark.parametrize(
    ("slip", "told"),
    [
        (lambda term: term.item(), "item"),
        (lambda term: term[None][term[None] > 0], "nonzero"),
        (lambda term: term + torch.ones(3), "device"),
    ],
    ids=["a number", "a mask", "a mix"],
)
def test_a_step_that_waited_would_fail(no_data, slip, told):
    (training, chosen), _ = steps(no_data)
    training.sums.add = lambda terms, videos: slip(terms["total"])
    with pytest.raises(RuntimeError, match=told):
        training._step(chosen)


def test_a_step_that_copied_would_be_found_out(no_data):
    (training, chosen), _ = steps(no_data)
    training.sums.add = lambda terms, videos: torch.ones(()).to("meta")
    with FromTheHost() as watch:
        training._step(chosen)
    assert watch.found == ["_to_copy"]


@needs_gpu
def test_on_a_gpu_a_resumed_training_goes_on_where_it_stopped(tmp_path):
    dataset, network = tiny_dataset(), tiny_network(dropout=0.1)
    whole = fit(dataset, network, ON_GPU)

    def stop(record):
        if record["epoch"] == WARM_UP + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(dataset, network, ON_GPU, RunFolder(tmp_path / "r", dataset, network, ON_GPU), stop)
    folder = RunFolder(tmp_path / "r", dataset, network, ON_GPU, resume=True)
    resumed = fit(dataset, network, ON_GPU, folder)
    for expected, found in zip(whole.history, resumed.history, strict=True):
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-3)


@needs_gpu
@pytest.mark.parametrize("mode", ["fast", "half"])
def test_on_a_gpu_the_recorded_training_is_the_plain_one(mode):
    dataset, network = tiny_dataset(), tiny_network(dropout=0.0)
    plain, recorded = (fit(dataset, network, replace(ON_GPU, mode=m)) for m in ("plain", mode))
    for expected, found in zip(plain.history, recorded.history, strict=True):
        tolerance = 1e-3 if mode == "fast" else 3e-2
        assert found["loss"] == pytest.approx(expected["loss"], rel=tolerance)
