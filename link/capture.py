"""Steps of training on a GPU, recorded once as a CUDA graph and replayed.

A network of VALOR++'s size keeps a GPU busy for less time than Python needs to ask for its many
small operations. A replayed graph asks for all of them at once.
"""

from collections.abc import Callable

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


class Replay:
    """Records a step for batches of one size, and replays it. Others are computed as usual."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.size: torch.Size | None = None
        self.taken = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.aside: torch.cuda.Stream | None = None

    def __call__(self, step: Step, chosen: Tensor) -> None:
        with torch.cuda.device(self.device):
            self._take(step, chosen)

    def _take(self, step: Step, chosen: Tensor) -> None:
        if self.size is None:
            self.size = chosen.shape
        if chosen.shape != self.size or self.taken < WARM_UP:
            self.taken += chosen.shape == self.size
            self._compute(step, chosen)
            return
        if self.graph is None:
            self.chosen = chosen.clone()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                step(self.chosen)
            self.graph = graph
        self.chosen.copy_(chosen)
        self.graph.replay()

    def _compute(self, step: Step, chosen: Tensor) -> None:
        """One step on a stream of its own, as a recording is; always the same stream."""
        self.aside = self.aside or torch.cuda.Stream()
        self.aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.aside):
            step(chosen)
        torch.cuda.current_stream().wait_stream(self.aside)
