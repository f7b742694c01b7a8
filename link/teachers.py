"""The teachers' networks, made by open_clip and laion_clap with weights of the hub or a file."""

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from link.weights import (
    EncoderError,
    cache_only,
    from_cache_or_hub,
    hub_file,
    hub_url,
    import_library,
    import_torchvision,
    quiet,
    read_checkpoint,
    told,
)

#: VALOR's CLIP, by open_clip's name. The plain name stands for another activation than the one
#: that OpenAI's weights were trained with.
CLIP = "ViT-L-14-quickgelu"
#: VALOR's CLAP, trained with fusion on the 630k pairs, without AudioSet.
CLAP = "630k-fusion-best.pt"

_CLAP_REPOSITORY = "lukewys/laion_clap"
# What laion_clap itself loads from the hub, whatever the checkpoint.
_CLAP_NEEDS = {
    "bert-base-uncased": ("vocab.txt",),
    "facebook/bart-base": ("vocab.json", "merges.txt"),
    "roberta-base": ("vocab.json", "merges.txt", "config.json", "model.safetensors"),
}
# The architecture, told by the width of its first layer.
_CLAP_SIZES = {96: "HTSAT-tiny", 128: "HTSAT-base"}
_CLIP_COPY = "or give a copy of the file with weights=PATH (--clip-weights PATH)"
_CLAP_COPY = "or give a copy of the file with weights=PATH (--clap-weights PATH)"

Tokenizer = Callable[[list[str]], Tensor]


def load_clip(
    model: str, weights: str | Path | None, device: torch.device
) -> tuple[nn.Module, Tokenizer, int]:
    """CLIP, its tokenizer and the width of its embeddings.

    `model` is a name of open_clip's, with `weights` one of its names for weights or a file, by
    default OpenAI's; or ``hf-hub:<owner>/<name>`` or ``local-dir:<folder>``, with their own.

    Raises EncoderError where they cannot be had or do not belong together.
    """
    import_torchvision()
    open_clip = import_library("open_clip")
    complete = model.startswith(("hf-hub:", "local-dir:"))
    if complete and weights is not None:
        raise EncoderError(f"{model} brings weights of its own: leave out {weights}")
    weights = None if complete else str(weights or "openai")
    published = {} if complete else open_clip.get_pretrained_cfg(model, weights)

    def load() -> tuple[nn.Module, Tokenizer, int]:
        network = open_clip.create_model(
            model,
            weights,
            device=device,
            # open_clip only warns where weights meet an activation they were not trained with.
            force_quick_gelu=published.get("quick_gelu", False),
            require_pretrained=True,
        )
        width = open_clip.get_model_config(model)["embed_dim"]
        return _frozen(network), open_clip.get_tokenizer(model), width

    if model.startswith("hf-hub:"):
        place = hub_url(model.removeprefix("hf-hub:"))
        return from_cache_or_hub(load, f"the CLIP of {place}", "or give local-dir:<its folder>")
    if not complete and model not in open_clip.list_models():
        near = difflib.get_close_matches(model, open_clip.list_models()) or [CLIP]
        raise EncoderError(f"open_clip knows no model {model!r}: try {' or '.join(near)}")
    if published:
        repository, _, file = published.get("hf_hub", "").rpartition("/")
        place = f"{file or 'open_clip_model.safetensors'} of {hub_url(repository)}"
        if not repository:
            place = published["url"]
        return from_cache_or_hub(
            load, f"{place}, the weights {weights!r} of CLIP {model},", _CLIP_COPY
        )
    if not complete and not Path(weights).is_file():
        known = ", ".join(open_clip.pretrained.list_pretrained_tags_by_model(model)) or "none"
        raise EncoderError(
            f"{weights} is neither a file nor weights that open_clip knows for {model}: it knows "
            f"{known}"
        )
    try:
        with quiet():
            return load()
    except Exception as error:
        raise EncoderError(
            f"{weights or model} cannot be loaded as weights of CLIP {model} ({told(error)}): "
            "give the model that they belong to, or fetch them again"
        ) from error


def load_clap(weights: str | Path, device: torch.device) -> Any:
    """laion_clap's own module, with weights from a file or, by a file's name, from the hub.

    Size and fusion are told from what is in the file. Raises EncoderError where weights or
    tokenizers cannot be had or do not fit.
    """
    path = Path(weights)
    if not path.is_file():
        if path.name != str(weights):
            raise EncoderError(f"{weights} is not there: give another file as CLAP's weights")
        path = hub_file(_CLAP_REPOSITORY, str(weights), _CLAP_COPY)
    found = {name.removeprefix("module."): each for name, each in read_checkpoint(path).items()}
    # A buffer of older versions of transformers, which newer ones do not have.
    found.pop("text_branch.embeddings.position_ids", None)
    first = found.get("audio_branch.patch_embed.proj.weight", torch.empty(0))
    if len(first) not in _CLAP_SIZES:
        raise EncoderError(f"{path} holds no weights of a CLAP with HTSAT: give another file")
    for repository, names in _CLAP_NEEDS.items():
        for name in names:
            hub_file(repository, name)
    import_torchvision()
    with cache_only(), _without_bars():
        laion_clap = import_library("laion_clap")
        try:
            with quiet():
                clap = laion_clap.CLAP_Module(
                    enable_fusion="audio_branch.patch_embed.mel_conv2d.weight" in found,
                    device=str(device),
                    amodel=_CLAP_SIZES[len(first)],
                )
                clap.model.load_state_dict(found)
        except Exception as error:
            raise EncoderError(
                f"{path} cannot be loaded as weights of CLAP ({told(error)}): give another file"
            ) from error
    # transformers makes an empty tokenizer, without a word, where it does not find the files.
    tokens, rows = len(clap.tokenize), clap.model.text_branch.config.vocab_size
    if tokens != rows:
        raise EncoderError(
            f"the tokenizer of {hub_url('roberta-base')} knows {tokens} tokens, the model there "
            f"{rows}: remove both from the hub's cache, and fetch them again"
        )
    return _frozen(clap)


def _frozen(network: nn.Module) -> nn.Module:
    return network.requires_grad_(False).eval()


@contextmanager
def _without_bars() -> Iterator[None]:
    """Without the progress bars of transformers, for what takes no time."""
    bars = import_library("transformers.utils.logging")
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()
