"""A network of any sizes with a random batch for it, and its parts: what costs are measured on."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from link.han import ParsingOutput
from link.model import LINK, LinkConfig

#: The modules of each part of `link.model.LINK`; the loss has none.
PARTS = {
    "projection": ("projection",),
    "TSAM": ("tsam",),
    "encoder": ("encoder",),
    "PLSIM": ("plsim_audio", "plsim_visual"),
    "pooling": ("pooling",),
    "loss": (),
}
#: Widths of CLAP's and CLIP's text features.
TEXT_DIMS = (512, 768)


@dataclass(frozen=True)
class Trial:
    """A network of some sizes with a batch of random inputs and labels for it."""

    model: LINK
    inputs: tuple[Tensor | None, ...]
    labels: tuple[Tensor, ...]

    @classmethod
    def make(
        cls,
        config: LinkConfig,
        batch: int,
        text_dims: Sequence[int] = TEXT_DIMS,
        device: str = "cpu",
    ) -> "Trial":
        """Seeded, so that two trials of the same sizes are the same."""
        c, random = config, torch.Generator().manual_seed(0)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=random).to(device)

        def labels(*shape: int) -> Tensor:
            return (torch.rand(shape, generator=random) < 0.1).float().to(device)

        texts = [normal(c.classes, width) for width in text_dims] if c.plsim else [None, None]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = LINK(c, *texts).to(device)
        widths = (c.audio_dim, c.visual_dim, c.motion_dim)
        features = [width and normal(batch, c.segments, width) for width in widths]
        heard, seen = (labels(batch, c.segments, c.classes) for _ in range(2))
        weak = torch.maximum(heard, seen).amax(dim=1)
        return cls(model, (*features, heard, seen), (weak, heard, seen))

    def step(self) -> Tensor:
        """The loss of the batch."""
        return self.loss(*self.model(*self.inputs))

    def loss(self, *output: Tensor) -> Tensor:
        """The loss of what the network returned for the batch."""
        return self.model.loss(ParsingOutput(*output), *self.labels)["total"]


def modules_of(model: LINK, part: str) -> list[nn.Module]:
    """The modules of a part; none where it is switched off, and none for the loss."""
    return [getattr(model, name) for name in PARTS[part] if hasattr(model, name)]


@contextmanager
def watched(
    model: LINK,
    begin: Callable[[str, nn.Module, tuple], None],
    end: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Call ``begin`` before, and ``end`` after, each module of a part runs."""
    with ExitStack() as hooks:
        for part in PARTS:
            for module in modules_of(model, part):
                before = module.register_forward_pre_hook(
                    lambda module, given, part=part: begin(part, module, given)
                )
                after = module.register_forward_hook(lambda *_: end())
                hooks.callback(before.remove)
                hooks.callback(after.remove)
        yield
