"""The encoders compute what VALOR's published code computes, through the real libraries.

All weights here are random, so the numbers mean nothing; how they come about is compared.
"""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from mini_hub import RANDOM_CLIP, mini_hub, use_mini_hub
from torch.nn import functional

from link.encoders import ClapEncoder, ClipEncoder, EncoderError
from link.features import audio_map_matrix
from link.pseudo_labels import AUDIO_CAPTIONS, VISUAL_CAPTIONS, text_features

pytestmark = pytest.mark.skipif(
    find_spec("laion_clap") is None or find_spec("open_clip") is None,
    reason="the extra 'encoders' is not installed",
)
RNG = np.random.default_rng(0)

# A second thread gains little here, and on a busy machine it loses much.
torch.set_num_threads(1)


def picture(height, width):
    """Noise over a gradient: something that every way of resizing treats differently."""
    noise = RNG.integers(0, 120, (height, width, 3))
    return (noise + np.linspace(0, 135, width)[:, None]).astype(np.uint8)


def sound(samples, pitch, tone, noise):
    wave = tone * np.sin(2 * np.pi * pitch * np.arange(samples) / 48_000)
    return (wave + RNG.normal(0, noise, samples)).astype(np.float32)


FRAMES = [picture(*size) for size in ((90, 120), (480, 270), (224, 224), (225, 640), (36, 1000))]
# A tone, noise, next to nothing, and two mixtures.
CLIP_SOUND = np.concatenate(
    [
        sound(100_000, pitch, tone, noise)
        for pitch, tone, noise in (
            (200, 0.9, 0.001),
            (800, 0, 0.2),
            (3000, 0.001, 0.001),
            (9000, 0.3, 0.01),
            (400, 0.1, 0.05),
        )
    ]
)


@pytest.fixture(scope="module", autouse=True)
def hub():
    with use_mini_hub(mini_hub()):
        yield


@pytest.fixture(scope="module")
def clip():
    return ClipEncoder(RANDOM_CLIP, device="cpu")


@pytest.fixture(scope="module")
def clap():
    return ClapEncoder(device="cpu")


def close(found, expected, tolerance=1e-4):
    """Closer than the 1e-3 asked for: these are float32 on one machine."""
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=tolerance, rtol=0)


def test_importing_the_encoders_imports_no_teacher():
    code = (
        "import sys, link.encoders, link.pseudo_labels\n"
        "heavy = {'laion_clap', 'open_clip', 'torchvision', 'transformers', 'huggingface_hub'}\n"
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ---- CLIP ----


def valor_pictures(frames, antialias=False):
    """VALOR's transform, with the default that `Resize` had in its torchvision."""
    from torchvision import transforms

    transform = transforms.Compose(
        [
            transforms.ToTensor(),
            transforms.Resize((224, 224), antialias=antialias),
            transforms.Normalize(
                (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
            ),
        ]
    )
    return torch.stack([transform(frame) for frame in frames])


def test_frames_are_embedded_as_valor_does(clip):
    def embedded(pictures):
        with torch.no_grad():
            return functional.normalize(clip.network.encode_image(pictures), dim=-1).numpy()

    found = clip.embed_frames(FRAMES)
    assert found.shape == (5, 768)
    close(found, embedded(valor_pictures(FRAMES)), 1e-5)
    # Another filter would have been seen, and so all the more a crop.
    assert np.abs(embedded(valor_pictures(FRAMES, antialias=True)) - found).max() > 1e-3


def test_batches_and_prepared_frames_change_nothing(clip):
    together = clip.embed_frames(iter(FRAMES))
    prepared = np.stack([clip.prepare(frame) for frame in FRAMES])
    assert prepared.dtype == np.float32 and prepared.shape == (5, 3, 224, 224)
    np.testing.assert_array_equal(clip.embed_frames(prepared), together)
    clip.batch_size = 2
    close(clip.embed_frames(FRAMES), together, 1e-6)
    clip.batch_size = 8
    assert clip.embed_frames([]).shape == (0, 768)


def test_views_that_torch_cannot_share_are_read(clip):
    mirrored = FRAMES[0][:, ::-1]
    locked = mirrored.copy()
    locked.flags.writeable = False
    np.testing.assert_array_equal(clip.embed_frames([mirrored]), clip.embed_frames([locked]))


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((9, 9, 3), np.float32),
        np.zeros((9, 9), np.uint8),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros((0, 9, 3), np.uint8),
    ],
)
def test_what_is_no_frame_is_refused(clip, frame):
    with pytest.raises(EncoderError, match=r"a frame is (float32|uint8) \(\d, "):
        clip.embed_frames([frame])


def test_visual_logits_are_a_hundred_times_the_cosine(clip):
    import open_clip

    captions = VISUAL_CAPTIONS[:3]
    with torch.no_grad():
        text = clip.network.encode_text(open_clip.get_tokenizer("ViT-L-14")(captions)).numpy()
    image = clip.embed_frames(FRAMES)
    cosines = (
        (image @ text.T) / np.linalg.norm(image, axis=1)[:, None] / np.linalg.norm(text.T, axis=0)
    )
    close(clip.embed_text(captions), text / np.linalg.norm(text, axis=1)[:, None], 1e-6)
    close(clip.logits(image, clip.embed_text(captions)), 100 * cosines, 1e-3)


def test_a_file_of_weights_serves_any_model_of_open_clip(clip, tmp_path):
    import json

    import open_clip

    home = mini_hub() / "hub" / "models--random--clip" / "snapshots"
    config = json.loads(next(home.rglob("open_clip_config.json")).read_text())["model_cfg"]
    (tmp_path / "tiny-random.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path)
    torch.save({"state_dict": clip.network.state_dict()}, tmp_path / "weights.pt")
    from_file = ClipEncoder("tiny-random", tmp_path / "weights.pt", device="cpu")
    np.testing.assert_array_equal(from_file.embed_frames(FRAMES), clip.embed_frames(FRAMES))
    assert from_file.name == "open_clip tiny-random weights.pt"
    assert clip.name == "open_clip hf-hub:random/clip"


# ---- CLAP ----


def librosa_mel(waveform, configuration):
    librosa = pytest.importorskip("librosa")
    power = librosa.feature.melspectrogram(
        y=waveform.numpy(),
        sr=configuration["sample_rate"],
        n_fft=configuration["window_size"],
        hop_length=configuration["hop_size"],
        power=2.0,
        n_mels=64,
        norm=None,
        htk=True,
        fmin=configuration["fmin"],
        fmax=configuration["fmax"],
        pad_mode="reflect",
    )
    return torch.from_numpy(librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None).T)


@pytest.fixture
def laion(clap, monkeypatch):
    """laion_clap's own module and data code, with librosa's spectrogram for torchaudio's."""
    from laion_clap.training import data

    monkeypatch.setattr(data, "get_mel", librosa_mel)
    return clap._clap, data


def valor_map(module, data, waveform):
    """VALOR's map of one clip, its steps one by one: (64, 768)."""
    samples = np.round(np.linspace(0, len(waveform) - 1, 480_000)).astype(np.int32)
    waveform = data.int16_to_float32(data.float32_to_int16(waveform[samples]))
    read = data.get_audio_features(
        {},
        torch.from_numpy(waveform).float(),
        480_000,
        data_truncating="fusion",
        data_filling="repeatpad",
        audio_cfg=module.model_cfg["audio_cfg"],
    )
    branch = module.model.audio_branch
    with torch.no_grad():
        x = branch.bn0(read["mel_fusion"][None].transpose(1, 3)).transpose(1, 3)
        x = branch.patch_embed(branch.reshape_wav2img(x), longer_idx=[])
        for layer in branch.layers:
            x, _ = layer(x)
        x = branch.norm(x)[0].T.numpy()
    # 8 x 8 tokens; rows 2 s and 2 s + 1 are the two frequencies of strip s, columns its times.
    square = x.reshape(768, 8, 8)
    rows = [
        np.concatenate([square[:, 2 * strip + frequency] for strip in range(4)], axis=1)
        for frequency in range(2)
    ]
    return np.concatenate(rows, axis=1).T


@pytest.mark.parametrize("samples", [470_003, 491_000])
def test_maps_of_clips_are_valors(clap, laion, samples):
    found = clap.map_sounds([CLIP_SOUND[:samples]])
    assert found.shape == (1, 64, 768)
    close(found[0], valor_map(*laion, CLIP_SOUND[:samples]), 1e-3)


def test_segments_are_embedded_by_laion_clap_itself(clap, laion):
    # VALOR's segments of a clip whose length ten does not divide.
    waveform = CLIP_SOUND[:480_007]
    starts = np.round(np.linspace(0, len(waveform), 11)).astype(int)[:10]
    segments = [waveform[start : start + len(waveform) // 10] for start in starts[::3]]
    found = clap.embed_sounds(segments)
    assert found.shape == (4, 512)
    close(found, laion[0].get_audio_embedding_from_data(x=segments), 1e-3)
    close(np.linalg.norm(found, axis=1), 1)
    assert (found @ found.T).min() < 0.99, "the random weights do not tell sounds apart"


def test_a_long_sound_is_fused_by_laion_clap_itself(clap, laion, monkeypatch):
    # The places of the crops are drawn there; the middle ones are drawn here.
    monkeypatch.setattr(np.random, "choice", lambda places: places[len(places) // 2])
    shrink = functional.interpolate
    monkeypatch.setattr(
        laion[1].torchvision.transforms,
        "Resize",
        lambda size: lambda mel: shrink(mel[None], size, mode="bilinear")[0],
    )
    sounds = [np.tile(CLIP_SOUND, 2), CLIP_SOUND[:48_000]]
    found = clap.embed_sounds(sounds)
    close(found, laion[0].get_audio_embedding_from_data(x=sounds), 1e-3)
    # In one batch with a long sound or not, a short one is the same.
    close(found[1], clap.embed_sounds(sounds[1:])[0], 1e-5)


def test_batches_of_sounds_change_nothing(clap):
    sounds = [CLIP_SOUND[start : start + 30_000] for start in (0, 150_000, 250_000)]
    together = clap.embed_sounds(iter(sounds))
    clap.batch_size = 2
    close(clap.embed_sounds(sounds), together, 1e-5)
    clap.batch_size = 8


def test_the_mean_of_a_map_projected_is_the_embedding_of_its_clip(clap):
    cells = clap.map_sounds([CLIP_SOUND[:480_000]])
    close(clap.project_map(cells.mean(axis=1)), clap.embed_sounds([CLIP_SOUND[:480_000]]), 1e-5)
    segments = audio_map_matrix().astype(np.float32) @ cells
    projected = clap.project_map(segments)
    assert projected.shape == (1, 10, 512)
    close(projected[0, 3], clap.project_map(segments[0, 3]), 1e-6)


def test_audio_logits_have_the_scale_of_audio(clap, laion):
    captions = list(AUDIO_CAPTIONS[:3])
    text = laion[0].get_text_embedding(captions)
    close(clap.embed_text(captions), text, 1e-6)
    audio = clap.embed_sounds([CLIP_SOUND[:48_000]])
    scale_of_audio, scale_of_text = laion[0].model(None, None, "cpu")
    assert scale_of_audio != scale_of_text
    close(clap.logits(audio, text), scale_of_audio.item() * audio @ text.T)


def test_a_model_without_fusion_is_told_by_its_file(laion, tmp_path):
    import laion_clap

    module = laion_clap.CLAP_Module(enable_fusion=False, device="cpu").eval()
    torch.save(module.model.state_dict(), tmp_path / "plain.pt")
    sounds = [CLIP_SOUND[:48_000], CLIP_SOUND[200_000:290_001]]
    found = ClapEncoder(tmp_path / "plain.pt", device="cpu").embed_sounds(sounds)
    close(found, module.get_audio_embedding_from_data(x=sounds), 1e-4)


@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros(0, np.float32),
        np.zeros((2, 4800), np.float32),
        np.zeros(4800, np.int16),
        np.full(4800, np.nan),
    ],
)
def test_what_is_no_waveform_is_refused(clap, waveform):
    for encode in (clap.embed_sounds, clap.map_sounds):
        with pytest.raises(EncoderError, match="a waveform is"):
            encode([waveform])


# ---- both ----


def test_the_captions_become_what_plsim_reads(clap, clip):
    audio, visual = text_features(clap, clip)
    assert audio.shape == (25, 512) and visual.shape == (25, 768)
    close(audio[[4]], clap.embed_text([AUDIO_CAPTIONS[4]]), 1e-6)
    close(visual[[4]], clip.embed_text([VISUAL_CAPTIONS[4]]), 1e-6)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_half_precision_stays_near_single(clap, clip, device):
    """A CPU can compute so too, if slowly: the encoders would not ask it to."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    assert not clap.half and not clip.half
    for encoder, encode, items in (
        # The power of a square wave is more than half precision can hold.
        (ClapEncoder(device=device), clap.embed_sounds, [np.sign(CLIP_SOUND[:48_000])]),
        (ClipEncoder(RANDOM_CLIP, device=device), clip.embed_frames, FRAMES),
    ):
        assert encoder.half == (device == "cuda")
        encoder.half = True
        half = getattr(encoder, encode.__name__)(items)
        close(half, encode(items), 5e-3)
        assert np.abs(half - encode(items)).max() > 1e-6, "this was single precision"
