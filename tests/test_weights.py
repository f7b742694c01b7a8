"""Weights are looked for in the right places, and what is missing is told in one sentence."""

import json
import logging
import os
import subprocess
import sys
import threading
import warnings
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from mini_hub import RANDOM_CLIP, REVISION, environment, mini_hub, use_mini_hub

from link.encoders import ClapEncoder, ClipEncoder
from link.weights import (
    EncoderError,
    from_cache_or_hub,
    hub_file,
    pick_device,
    quiet,
    read_checkpoint,
)

pytestmark = pytest.mark.skipif(
    find_spec("laion_clap") is None or find_spec("open_clip") is None,
    reason="the extra 'encoders' is not installed",
)


@pytest.fixture(scope="module", autouse=True)
def hub():
    with use_mini_hub(mini_hub()):
        yield mini_hub() / "hub"


@pytest.fixture
def constants():
    from huggingface_hub import constants

    return constants


@pytest.fixture
def thin_hub(hub, tmp_path):
    """The miniature once more, for a test to take something away from."""
    for file in hub.rglob("*"):
        if file.is_file():
            copy = tmp_path / "hub" / file.relative_to(hub)
            copy.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, copy)
    with use_mini_hub(tmp_path):
        yield tmp_path / "hub"


def sentence(error):
    """The message, which has to be one line."""
    text = str(error.value)
    assert "\n" not in text
    return text


# ---- what is missing ----


def test_missing_clip_weights_are_named_with_their_place_and_the_ways_out(hub):
    with pytest.raises(EncoderError) as error:
        ClipEncoder()
    assert sentence(error) == (
        "open_clip_model.safetensors of "
        "https://huggingface.co/timm/vit_large_patch14_clip_224.openai, the weights 'openai' of "
        f"CLIP ViT-L-14-quickgelu, is neither in the hub's cache {hub} nor to be had from the "
        "network (HF_HUB_OFFLINE is set): connect to the network once, or set HF_HOME to a cache "
        "that holds it, or give a copy of the file with weights=PATH (--clip-weights PATH)"
    )


def test_missing_clap_weights_are_named_with_their_place_and_the_ways_out(hub):
    with pytest.raises(EncoderError) as error:
        ClapEncoder("630k-audioset-fusion-best.pt")
    assert sentence(error) == (
        "the file 630k-audioset-fusion-best.pt of https://huggingface.co/lukewys/laion_clap is "
        f"neither in the hub's cache {hub} nor to be had from the network (HF_HUB_OFFLINE is "
        "set): connect to the network once, or set HF_HOME to a cache that holds it, or give a "
        "copy of the file with weights=PATH (--clap-weights PATH)"
    )


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("bert-base-uncased", "vocab.txt"),
        ("facebook/bart-base", "merges.txt"),
        ("roberta-base", "vocab.json"),
        ("roberta-base", "model.safetensors"),
    ],
)
def test_each_file_that_laion_clap_loads_by_itself_is_named(thin_hub, repository, name):
    (thin_hub / f"models--{repository.replace('/', '--')}/snapshots/{REVISION}/{name}").unlink()
    with pytest.raises(EncoderError) as error:
        ClapEncoder()
    assert sentence(error).startswith(f"the file {name} of https://huggingface.co/{repository} is")


def test_a_tokenizer_that_does_not_belong_to_its_model_is_told(thin_hub):
    vocabulary = thin_hub / f"models--roberta-base/snapshots/{REVISION}/vocab.json"
    tokens = json.loads(vocabulary.read_text())
    vocabulary.unlink()
    vocabulary.write_text(json.dumps(dict(list(tokens.items())[:-20])))
    with pytest.raises(EncoderError, match=r"roberta-base knows \d+ tokens, the model there \d+"):
        ClapEncoder()


def test_a_missing_model_of_the_hub_is_named(hub):
    with pytest.raises(EncoderError) as error:
        ClipEncoder("hf-hub:nobody/nothing")
    assert "the CLIP of https://huggingface.co/nobody/nothing is neither" in sentence(error)


def test_a_model_of_the_hub_without_its_weights_is_not_made_up(thin_hub):
    next(thin_hub.rglob("open_clip_model.safetensors")).unlink()
    with pytest.raises(EncoderError, match=r"the CLIP of .*/random/clip is neither"):
        ClipEncoder(RANDOM_CLIP)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ViT-L-41",), "open_clip knows no model 'ViT-L-41': try .*ViT-L-14"),
        (("ViT-B-32", "openay"), "openay is neither a file nor weights that open_clip knows"),
        (("ViT-B-32", "openay"), "it knows openai, "),
        (("local-dir:nowhere",), "local-dir:nowhere cannot be loaded .*nowhere"),
        ((RANDOM_CLIP, "openai"), "brings weights of its own: leave out openai"),
    ],
)
def test_a_clip_that_is_not_there_is_told_from_one_that_is(arguments, said):
    with pytest.raises(EncoderError, match=said) as error:
        ClipEncoder(*arguments)
    sentence(error)


def test_a_library_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(EncoderError, match=r"open_clip cannot be imported .*\.\[encoders\]"):
        ClipEncoder()


def test_a_device_that_is_not_there_is_named():
    for device in ("cuda:77", "toaster"):
        with pytest.raises(EncoderError, match=f"device {device} cannot be used"):
            pick_device(device)


# ---- the cache first, then the network ----


class Answer(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def reachable(constants):
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        with patch.multiple(constants, ENDPOINT=address, HF_HUB_OFFLINE=False):
            yield
        server.shutdown()


def test_what_the_cache_holds_is_used_without_asking_the_network(constants):
    # Nobody listens there: a request would fail.
    with patch.multiple(constants, ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE=False):
        assert hub_file("roberta-base", "merges.txt").read_text() == "#version: 0.2\n"
        assert not constants.HF_HUB_OFFLINE


def test_what_the_cache_lacks_is_fetched(constants, reachable):
    tries = []

    def load():
        tries.append(constants.HF_HUB_OFFLINE)
        if constants.HF_HUB_OFFLINE:
            raise FileNotFoundError("not in the cache")
        return "fetched"

    assert from_cache_or_hub(load, "it") == "fetched"
    assert tries == [True, False]


def test_a_hub_that_lacks_it_too_is_told_with_its_reason(constants, reachable):
    def load():
        raise FileNotFoundError("404, no such\n\nfile")

    with pytest.raises(EncoderError) as error:
        from_cache_or_hub(load, "it", "or make it")
    assert "FileNotFoundError: 404, no such file" in sentence(error)
    assert sentence(error).endswith(", or make it")


def test_a_network_that_is_down_is_noticed_at_once(constants):
    tries = []

    def load():
        tries.append(constants.HF_HUB_OFFLINE)
        raise FileNotFoundError

    with (
        patch.multiple(constants, ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE=False),
        pytest.raises(EncoderError, match="Connect") as error,
    ):
        from_cache_or_hub(load, "it")
    sentence(error)
    assert tries == [True], "the libraries would try again for minutes"


# ---- checkpoints ----


class Malice:
    def __reduce__(self):
        return (Path.touch, (Path(os.environ["MALICE"]),))


def test_no_code_in_a_checkpoint_is_run(tmp_path, monkeypatch):
    monkeypatch.setenv("MALICE", str(tmp_path / "was-here"))
    torch.save({"state_dict": {"weight": torch.ones(2)}, "more": Malice()}, tmp_path / "bad.pt")
    with pytest.raises(EncoderError) as error:
        ClapEncoder(tmp_path / "bad.pt")
    assert f"{tmp_path / 'bad.pt'} is no checkpoint of weights alone" in sentence(error)
    assert not (tmp_path / "was-here").exists()


@pytest.mark.parametrize("numpy_module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_numbers_of_numpys_beside_the_weights_are_let_through(tmp_path, numpy_module):
    """As learning rates are saved, by numpy 1 and by numpy 2."""
    written = tmp_path / "written.pt"
    torch.save({"state_dict": {"weight": torch.ones(2)}, "lr": np.float64(0.1)}, written)
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(tmp_path / "new.pt", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            for module in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
                content = content.replace(module + b"\nscalar", b"\0\nscalar")
            new.writestr(name, content.replace(b"\0\nscalar", numpy_module.encode() + b"\nscalar"))
    assert numpy_module.encode() in (tmp_path / "new.pt").read_bytes()
    torch.testing.assert_close(read_checkpoint(tmp_path / "new.pt")["weight"], torch.ones(2))


def test_files_that_hold_no_clap_are_named(tmp_path):
    cut = tmp_path / "cut.pt"
    whole = next(mini_hub().rglob("630k-fusion-best.pt")).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"weight": torch.ones(2)}, tmp_path / "other.pt")
    half = {"audio_branch.patch_embed.proj.weight": torch.ones(96, 1, 4, 4)}
    torch.save(half, tmp_path / "half.pt")
    for name, said in {
        "cut.pt": "is no checkpoint of weights alone",
        "list.pt": "is no checkpoint of weights alone",
        "other.pt": "holds no weights of a CLAP with HTSAT",
        "half.pt": "cannot be loaded as weights of CLAP .RuntimeError: .*Missing key",
        "gone.pt": "is not there",
    }.items():
        with pytest.raises(EncoderError, match=f"{name} {said}") as error:
            ClapEncoder(tmp_path / name)
        sentence(error)


def test_a_file_that_holds_no_clip_is_named(tmp_path):
    torch.save({"weight": torch.ones(2)}, tmp_path / "other.pt")
    with pytest.raises(EncoderError, match=r"other.pt cannot be loaded as weights of CLIP RN50"):
        ClipEncoder("RN50", tmp_path / "other.pt")


# ---- what importing leaves behind ----


def test_openais_weights_always_meet_the_activation_they_were_trained_with(monkeypatch):
    import open_clip

    asked = []

    def create_model(*arguments, **options):
        asked.append(options["force_quick_gelu"])
        raise RuntimeError

    monkeypatch.setattr(open_clip, "create_model", create_model)
    for model, weights, expected in (
        ("ViT-L-14", "openai", True),
        ("ViT-L-14", "laion2b_s32b_b82k", False),
    ):
        with pytest.raises(EncoderError):
            ClipEncoder(model, weights)
        assert asked.pop() is expected and not asked


def test_making_clap_leaves_path_warnings_and_logging_as_they_were():
    code = (
        "import sys, logging, warnings\n"
        "path, filters = sys.path.copy(), warnings.filters.copy()\n"
        "from link.encoders import ClapEncoder\n"
        "ClapEncoder(device='cpu')\n"
        "assert sys.path == path, set(sys.path) - set(path)\n"
        "assert logging.root.manager.disable == 0\n"
        "from transformers.utils.logging import is_progress_bar_enabled\n"
        "assert is_progress_bar_enabled()\n"
    )
    variables = {**os.environ, **environment(mini_hub())}
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_operators_that_torchvision_looks_up_are_declared_for_it(tmp_path):
    """With a torchvision built for another torch, in miniature."""
    operators = ["one", "two"]
    package = tmp_path / "torchvision"
    package.mkdir()
    lines = ["import torch"]
    lines += [
        f"torch.library.register_fake('torchvision::{each}')(lambda: 0)" for each in operators
    ]
    (package / "__init__.py").write_text("\n".join(lines))
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import link.weights\n"
        "link.weights.import_torchvision()\n"
        "print(len(link.weights._declared), 'torchvision' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(operators)), "True"]


def test_a_torchvision_broken_otherwise_is_told(tmp_path, monkeypatch):
    from link.weights import import_torchvision

    (tmp_path / "torchvision.py").write_text("raise RuntimeError('not that way')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(EncoderError, match=r"torchvision cannot be imported .*not that way"):
        import_torchvision()


def test_quiet_ends_with_its_block(caplog):
    with quiet():
        warnings.warn("unheard", stacklevel=1)
        logging.getLogger("any").error("unheard")
    with pytest.warns(UserWarning, match="^heard"):
        warnings.warn("heard", stacklevel=1)
    logging.getLogger("any").error("heard")
    assert caplog.messages == ["heard"]
