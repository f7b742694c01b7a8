"""What CLAP reads is computed as CLAP's and VALOR's code compute it, by way of librosa."""

import numpy as np
import pytest
import torch

from link.clap_input import CLIP_SAMPLES, clap_input, log_mel, ten_seconds

librosa = pytest.importorskip("librosa", reason="librosa, which comes with laion_clap, is absent")


def sound(samples, seed=0):
    """Tones that come and go in noise, so that no band is empty."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / 48_000
    tones = sum(
        0.2 * np.sin(2 * np.pi * pitch * time) * (np.sin(speed * time) > 0)
        for pitch, speed in ((220, 3), (1500, 7), (9000, 11))
    )
    return (tones + rng.normal(0, 0.02, samples)).astype(np.float32)


def librosa_mel(waveform):
    """The spectrogram that CLAP's code describes as equal to its own: (frames, 64)."""
    power = librosa.feature.melspectrogram(
        y=np.asarray(waveform),
        sr=48_000,
        n_fft=1024,
        hop_length=480,
        win_length=1024,
        center=True,
        pad_mode="reflect",
        power=2.0,
        n_mels=64,
        norm=None,
        htk=True,
        fmin=50,
        fmax=14_000,
    )
    return librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None).T


def test_the_spectrogram_is_that_of_librosa():
    waveform = sound(90_017)
    mel = log_mel(torch.from_numpy(waveform))
    assert mel.shape == (188, 64)
    np.testing.assert_allclose(mel, librosa_mel(waveform), atol=1e-3)


def test_silence_is_a_hundred_decibels_down():
    assert (log_mel(torch.zeros(2, 4800)) == -100).all()


def test_a_short_sound_is_repeated_as_often_as_it_fits_and_padded():
    waveform = sound(48_700)
    whole = np.zeros(CLIP_SAMPLES, np.float32)
    for start in range(0, CLIP_SAMPLES - 48_700, 48_700):
        whole[start : start + 48_700] = waveform
    read = clap_input([torch.from_numpy(waveform)])
    np.testing.assert_allclose(read["waveform"][0], whole, atol=1 / 32767)
    assert not read["waveform"][0, 9 * 48_700 :].any()
    assert read["mel_fusion"].shape == (1, 4, 1001, 64) and not read["longer"].any()
    for mel in read["mel_fusion"][0]:
        np.testing.assert_allclose(mel, librosa_mel(read["waveform"][0]), atol=1e-3)


def test_samples_are_cut_to_sixteen_bits_towards_zero():
    given = np.array([-2, -1, -1.9 / 32767, -0.5 / 32767, 0.9 / 32767, 1.5 / 32767, 0.5, 1, 7])
    levels = np.trunc(np.clip(given, -1, 1).astype(np.float32) * 32767)
    read = clap_input([torch.from_numpy(given.astype(np.float32))])
    np.testing.assert_array_equal(read["waveform"][0, :9] * 32767, levels.astype(np.float32))


@pytest.mark.parametrize("samples", [CLIP_SAMPLES + 1, CLIP_SAMPLES + 479])
def test_a_little_more_than_ten_seconds_is_read_whole(samples):
    waveform = torch.from_numpy(sound(samples))
    read = clap_input([waveform])
    quantised = (waveform * 32767).to(torch.int16) / 32767
    assert not read["longer"].any()
    for mel in read["mel_fusion"][0]:
        torch.testing.assert_close(mel, log_mel(quantised), atol=1e-4, rtol=0)


def test_a_long_sound_is_an_overview_and_the_middle_crop_of_each_third():
    waveform = torch.from_numpy(sound(25 * 48_000))
    quantised = (waveform * 32767).to(torch.int16) / 32767
    mel = log_mel(quantised).numpy()
    assert len(mel) == 2501
    read = clap_input([waveform, waveform[:48_000]])
    assert read["longer"].tolist() == [[True], [False]]
    overview, *crops = read["mel_fusion"][0].numpy()
    # 1501 places for a crop, in thirds of 501, 500 and 500.
    for crop, start in zip(crops, (250, 751, 1251), strict=True):
        np.testing.assert_allclose(crop, mel[start : start + 1001], atol=1e-4)
    # Each frame of the overview lies between the two frames nearest to its middle.
    middles = (np.arange(1001) + 0.5) * 2501 / 1001 - 0.5
    before = np.floor(middles).astype(int)
    share = (middles - before)[:, None]
    np.testing.assert_allclose(
        overview, mel[before] * (1 - share) + mel[before + 1] * share, atol=1e-2
    )
    # For a model without fusion: the middle ten seconds.
    np.testing.assert_array_equal(read["waveform"][0], quantised[360_000:840_000])


@pytest.mark.parametrize("samples", [1, 479_990, 480_000, 480_013, 700_001])
def test_any_clip_becomes_ten_seconds_by_its_nearest_samples(samples):
    numbered = np.arange(samples, dtype=np.float32)
    clip = ten_seconds(numbered)
    exact = np.arange(480_000) * (samples - 1) / 479_999
    assert len(clip) == 480_000 and clip[0] == 0 and clip[-1] == samples - 1
    assert np.abs(clip - exact).max() <= 0.5 + 1e-6
