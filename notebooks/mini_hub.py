"""A miniature of the hub's cache, so that the real libraries run whole without a network.

It holds what laion_clap and open_clip ask the hub for, in a size that takes seconds: tokenizers
of single letters, a RoBERTa of one layer, a CLIP of two, and CLAP's audio half in its real size.
All weights are random, so the numbers that come out mean nothing; their shapes and the ways they
are computed are the real ones. Chapters use it where the encoders' weights are not at hand, and
tests always. The package knows nothing of it.
"""

import atexit
import io
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from link.weights import cache_only, import_library, import_torchvision, quiet

#: A CLIP of random weights, by the name that `link.encoders.ClipEncoder` takes.
RANDOM_CLIP = "hf-hub:random/clip"
REVISION = "0" * 40
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@cache
def mini_hub() -> Path:
    """The miniature that all of this process share; it goes when the process ends."""
    home = Path(tempfile.mkdtemp(prefix="mini-hub-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return build_mini_hub(home)


def build_mini_hub(home: Path) -> Path:
    """Writes the cache into the folder `home`, for ``HF_HOME``, and returns it."""
    with use_mini_hub(home), torch.random.fork_rng(devices=[]):
        import_torchvision()
        _write_tokenizers(home)
        # transformers draws progress bars for what takes no time.
        with redirect_stderr(io.StringIO()):
            _write_roberta(home)
            _write_clap(home)
        _write_clip(home)
    return home


def environment(home: Path) -> dict[str, str]:
    """What a process of its own needs to find the miniature and nothing else."""
    return {"HF_HOME": str(home), "HF_HUB_CACHE": str(home / "hub"), "HF_HUB_OFFLINE": "1"}


@contextmanager
def use_mini_hub(home: Path) -> Iterator[None]:
    """Makes this process find the miniature and nothing else."""
    # The hub's library reads its variables when it is imported; here they are for child processes.
    constants = import_library("huggingface_hub.constants")
    here = {"HF_HOME": str(home), "HF_HUB_CACHE": str(home / "hub"), "HF_HUB_OFFLINE": True}
    with patch.dict(os.environ, environment(home)), patch.multiple(constants, **here):
        yield


def _snapshot(home: Path, repository: str) -> Path:
    folder = home / "hub" / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(REVISION)
    files = folder / "snapshots" / REVISION
    files.mkdir(parents=True)
    return files


def _write_tokenizers(home: Path) -> None:
    from open_clip.tokenizer import bytes_to_unicode

    bert = _snapshot(home, "bert-base-uncased")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_LETTERS]
    (bert / "vocab.txt").write_text("\n".join([*words, *(f"##{letter}" for letter in _LETTERS)]))
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *bytes_to_unicode().values(), "<mask>"]
    vocabulary = json.dumps({token: number for number, token in enumerate(tokens)})
    for repository in ("roberta-base", "facebook/bart-base"):
        files = _snapshot(home, repository)
        (files / "vocab.json").write_text(vocabulary)
        (files / "merges.txt").write_text("#version: 0.2\n")


def _write_roberta(home: Path) -> None:
    from transformers import RobertaConfig, RobertaModel

    files = home / "hub" / "models--roberta-base" / "snapshots" / REVISION
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(json.loads((files / "vocab.json").read_text())),
        hidden_size=768,  # laion_clap's projection of the text has this width
        num_hidden_layers=1,
        num_attention_heads=12,
        intermediate_size=32,
        max_position_embeddings=80,
        type_vocab_size=1,
    )
    RobertaModel(config).save_pretrained(files)


def _write_clap(home: Path) -> None:
    """A checkpoint as laion_clap's training writes it: from several GPUs, with its own state."""
    with quiet(), cache_only():
        clap = import_library("laion_clap").CLAP_Module(enable_fusion=True, device="cpu")
    torch.manual_seed(1)
    for name, tensor in clap.model.state_dict().items():
        if name.endswith("bn0.running_mean"):
            tensor.fill_(-30)
        elif name.endswith("bn0.running_var"):
            tensor.fill_(400)
        elif name.endswith("logit_scale_a"):
            tensor.fill_(math.log(20))
    weights = {f"module.{name}": tensor for name, tensor in clap.model.state_dict().items()}
    weights["module.text_branch.embeddings.position_ids"] = torch.arange(80)[None]
    checkpoint = {
        "epoch": 1,
        "name": "random weights",
        "state_dict": weights,
        "optimizer": {"param_groups": [{"lr": np.float64(1e-4)}]},
    }
    torch.save(checkpoint, _snapshot(home, "lukewys/laion_clap") / "630k-fusion-best.pt")


def _write_clip(home: Path) -> None:
    from safetensors.torch import save_file

    open_clip = import_library("open_clip")
    sizes = {
        "embed_dim": 768,
        "quick_gelu": True,
        "vision_cfg": {
            "image_size": 224,
            "layers": 2,
            "width": 64,
            "head_width": 32,
            "patch_size": 32,
        },
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 64,
            "heads": 2,
            "layers": 1,
        },
    }
    torch.manual_seed(2)
    clip = open_clip.CLIP(**sizes)
    torch.nn.init.constant_(clip.logit_scale, math.log(100))
    # As they are drawn, hardly anything of a picture would be left in its embedding.
    torch.nn.init.normal_(clip.visual.conv1.weight, std=0.1)
    torch.nn.init.normal_(clip.visual.class_embedding, std=0.1)
    torch.nn.init.normal_(clip.visual.positional_embedding, std=0.1)
    files = _snapshot(home, RANDOM_CLIP.removeprefix("hf-hub:"))
    colours = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    config = {"model_cfg": sizes, "preprocess_cfg": colours}
    (files / "open_clip_config.json").write_text(json.dumps(config))
    save_file(clip.state_dict(), files / "open_clip_model.safetensors")
