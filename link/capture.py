"""Steps of training on a GPU, recorded as a CUDA graph for each size of batch, and replayed.

A network of VALOR++'s size keeps a GPU busy for less time than Python needs to ask for its many
small operations. A replayed graph asks for all of them at once.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: Takes the numbers of a batch's videos, an integer tensor on the device, and does all there is to
#: do with them. It must not wait for the device, and what it changes in Python happens only while
#: it is computed as usual or recorded.
Step = Callable[[Tensor], None]

#: Steps computed as usual before one is recorded, for libraries choose their ways in them.
WARM_UP = 3


def step_taker(device: torch.device) -> Callable[[Step, Tensor], None]:
    """What takes a step with some videos: on a GPU `Replay`, elsewhere the step itself.

    The step is passed with every call, and must be the same each time. Nothing here keeps it, so
    that whoever owns both, data and weights on the device included, is gone when it is let go.
    """
    return Replay(device) if device.type == "cuda" else lambda step, chosen: step(chosen)


@dataclass
class Recording:
    """The steps with batches of one size."""

    taken: int = 0  #: computed as usual so far, at most `WARM_UP`
    chosen: Tensor | None = None  #: what the graph reads
    graph: torch.cuda.CUDAGraph | None = None


class Replay:
    """Records a step once for each size of batch, and replays it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.aside: torch.cuda.Stream | None = None
        self.pool: tuple[int, int] | None = None
        self.recordings: defaultdict[torch.Size, Recording] = defaultdict(Recording)

    def __call__(self, step: Step, chosen: Tensor) -> None:
        with torch.cuda.device(self.device):
            self._take(step, chosen)

    def _take(self, step: Step, chosen: Tensor) -> None:
        known = self.recordings[chosen.shape]
        if known.taken < WARM_UP:
            self._compute(step, chosen)
            known.taken += 1
            return
        if known.graph is None:
            known.chosen = chosen.clone()
            known.graph = self._record(step, known.chosen)
        known.chosen.copy_(chosen)
        known.graph.replay()

    def _record(self, step: Step, chosen: Tensor) -> torch.cuda.CUDAGraph:
        # One pool for all: nothing that a step leaves in it is read by the next, of whatever size.
        self.pool = self.pool or torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.aside):
            step(chosen)
        return graph

    def _compute(self, step: Step, chosen: Tensor) -> None:
        """One step on a stream of its own, as a recording is; always the same stream."""
        self.aside = self.aside or torch.cuda.Stream()
        self.aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.aside):
            step(chosen)
        torch.cuda.current_stream().wait_stream(self.aside)
