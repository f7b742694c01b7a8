"""Videos are parsed as their features, window by window, would be by hand."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from finished_runs import about_of
from small_encoders import SmallClap, SmallClip
from videos import Picture, Sound, sample, steady, tones, write_video

from link.captions import Captions
from link.clip_features import encode_clips
from link.dataset import Split
from link.exports import write
from link.inference import predict
from link.media import read_windows
from link.model import LINK, LinkConfig, decide
from link.parsed_video import ParsedVideo
from link.parser import ParserError, by_network, by_teachers, parse_videos
from link.pseudo_labels import label_segments
from link.reading import name_videos

CLASSES = ("Siren", "Dog", "Door bell")
CLIP, CLAP = SmallClip(7), SmallClap(4)
CAPTIONS = Captions(
    CLASSES,
    tuple(f"the sound of {name}" for name in CLASSES),
    tuple(f"a picture of {name}" for name in CLASSES),
    np.zeros(3, np.float32),
    np.zeros(3, np.float32),
)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Clips, long ones, one whose sound ends early, some that lack a modality, two bad ones."""
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "b_long.mkv", steady(24.3, 8), Sound(tones(24.3), codec="flac"))
    write_video(folder / "c_silent.mp4", steady(10, 8))
    (folder / "d_empty.mp4").touch()
    write_video(folder / "e_heard.wav", None, Sound(tones(13), codec="pcm_s16le"))
    write_video(folder / "f_short.mkv", steady(3.7, 8), Sound(tones(3.7), codec="flac"))
    write_video(folder / "g_hushed.mkv", steady(17, 8), Sound(tones(12.2), codec="flac"))
    (folder / "h_text.mp4").write_text("no video at all\n" * 99)
    return {"a_clip": sample("h264_aac.mp4"), **name_videos([folder])}


GOOD = ["a_clip", "b_long", "c_silent", "e_heard", "f_short", "g_hushed"]
BAD = ["d_empty", "h_text"]


@pytest.fixture(scope="module")
def captions(videos):
    """Thresholds in the middle of what there is to be heard and seen."""
    features = encode_clips(
        [clip for name in ("a_clip", "b_long") for clip in read_windows(videos[name])], CLIP, CLAP
    )
    logits = [
        CLAP.logits(features.sound, CLAP.embed_text(CAPTIONS.audio)),
        CLIP.logits(features.visual, CLIP.embed_text(CAPTIONS.visual)),
    ]
    middles = [np.median(each.reshape(-1, 3), axis=0).astype(np.float32) for each in logits]
    return replace(CAPTIONS, audio_thresholds=middles[0], visual_thresholds=middles[1])


def network(captions, **settings):
    """An untrained network, with what is known of it, that says yes about half of the time."""
    torch.manual_seed(2)
    texts = CLAP.embed_text(captions.audio), CLIP.embed_text(captions.visual)
    sizes = {"hidden": 8, "heads": 2, "feed_forward": 12, "layers": 1, "classes": 3}
    given = {"audio_dim": CLAP.map_width, "visual_dim": CLIP.width, "motion_dim": None}
    config = LinkConfig(**{**sizes, **given, **settings})
    model = LINK(config, *map(torch.from_numpy, texts)) if config.plsim else LINK(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.4 * torch.randn_like(weight)
    about = about_of(
        config,
        classes=CLASSES,
        captions=captions,
        encoders={"audio": CLAP.name, "visual": CLIP.name},
        data={"name": "mine", "simulated": False, "fingerprint": "f", "videos": {"train": 3}},
    )
    return model, about


@pytest.fixture(scope="module", params=["teachers", "network", "network without PLSIM"])
def judge(request, captions):
    if request.param == "teachers":
        return by_teachers(captions, CLIP, CLAP)
    model, about = network(captions, plsim=request.param == "network")
    return by_network(model, about, "runs/mine", CLIP, CLAP)


@pytest.fixture(scope="module")
def parsed(videos, judge):
    return dict(parse_videos(videos, judge, CLIP, CLAP))


def features_of(path, hop=5):
    clips = list(read_windows(path, hop))
    return clips, encode_clips(clips, CLIP, CLAP)


def test_the_teachers_parse_a_clip_by_their_thresholded_logits(videos, captions):
    judge = by_teachers(captions, CLIP, CLAP)
    ((_, video),) = parse_videos({"a": videos["a_clip"]}, judge, CLIP, CLAP)
    _, features = features_of(videos["a_clip"])
    heard = CLAP.logits(features.sound[0], CLAP.embed_text(captions.audio))
    seen = CLIP.logits(features.visual[0], CLIP.embed_text(captions.visual))
    for found, logits, thresholds, axis in (
        (video.parsing.audio, heard, captions.audio_thresholds, 0),
        (video.parsing.visual, seen, captions.visual_thresholds, 1),
    ):
        assert np.abs(logits - thresholds).min() > 1e-4
        np.testing.assert_array_equal(found, label_segments(logits, thresholds))
        assert 0.1 < found.mean() < 0.9
        expected = 1 / (1 + np.exp(thresholds.astype(float) - logits))
        np.testing.assert_allclose(video.probabilities[:, axis], expected, atol=1e-6)


@pytest.mark.parametrize("plsim", [True, False])
def test_a_network_parses_a_clip_as_it_decides_on_its_features(videos, captions, plsim):
    model, about = network(captions, plsim=plsim)
    # As in training, until it is to judge.
    judge = by_network(model.train(), about, "runs/mine", CLIP, CLAP)
    ((_, video),) = parse_videos({"a": videos["a_clip"]}, judge, CLIP, CLAP)
    _, features = features_of(videos["a_clip"])
    inputs = [features.audio, features.visual]
    if plsim:
        heard = CLAP.logits(features.sound, CLAP.embed_text(captions.audio))
        seen = CLIP.logits(features.visual, CLIP.embed_text(captions.visual))
        priors = [heard > captions.audio_thresholds, seen > captions.visual_thresholds]
        assert all(0.1 < each.mean() < 0.9 for each in priors)
        inputs += [None, *(each.astype(np.float32) for each in priors)]
    with torch.no_grad():
        output = model.eval()(*(each if each is None else torch.tensor(each) for each in inputs))
    assert float(output.video_prob.max()) > 0.4
    for found, decided in zip(
        (video.parsing.audio, video.parsing.visual), decide(output), strict=True
    ):
        np.testing.assert_array_equal(found, decided[0].numpy())
    assert 0.05 < np.mean([video.parsing.audio, video.parsing.visual]) < 0.95
    lower = torch.minimum(output.segment_prob, output.video_prob[:, None, None])[0]
    np.testing.assert_allclose(video.probabilities, lower, atol=1e-6)


def test_every_second_is_the_mean_of_its_windows(videos, judge, parsed):
    for name in ("b_long", "e_heard", "f_short", "g_hushed"):
        clips, features = features_of(videos[name])
        said = judge.probabilities(features)
        video = parsed[name]
        for second in range(len(video.parsing.audio)):
            for axis, modality in enumerate(("audio", "visual")):
                found = []
                for clip, probabilities in zip(clips, said, strict=True):
                    inside = int(second - clip.start)
                    there = (clip.heard, clip.seen)[axis]
                    if 0 <= inside < 10 and there[inside]:
                        found.append(probabilities[inside, axis].astype(float))
                mean = np.mean(found, axis=0) if found else np.zeros(3)
                np.testing.assert_allclose(video.probabilities[second, axis], mean, atol=1e-5)
                decided = getattr(video.parsing, modality)[second]
                assert decided.tolist() == (video.probabilities[second, axis] >= 0.5).tolist()


def test_each_hop_has_windows_of_its_own(videos, judge):
    for hop in (3, 10):
        ((_, video),) = parse_videos({"long": videos["b_long"]}, judge, CLIP, CLAP, hop=hop)
        clips, features = features_of(videos["b_long"], hop)
        said = judge.probabilities(features)
        covering = [
            probabilities[int(12 - clip.start)]
            for clip, probabilities in zip(clips, said, strict=True)
            if clip.start <= 12 < clip.start + 10
        ]
        assert len(covering) == (1 if hop == 10 else 4)
        np.testing.assert_allclose(video.probabilities[12], np.mean(covering, axis=0), atol=1e-5)


def test_videos_come_in_order_with_an_error_in_place_of_the_bad_ones(videos, parsed):
    assert list(parsed) == list(videos)
    for name, found in parsed.items():
        if name in BAD:
            assert str(videos[name]) in found
        else:
            assert isinstance(found, ParsedVideo)
            assert found.video == videos[name]
    lengths = {name: len(parsed[name].parsing.audio) for name in GOOD}
    assert list(lengths.values()) == [10, 24, 10, 13, 4, 17]
    assert parsed["b_long"].duration == pytest.approx(24.3, abs=0.2)


def test_probabilities_are_such_and_some_events_are_found(parsed):
    share = [parsed[name].parsing.audio.mean() for name in GOOD]
    assert 0 < np.mean(share) < 1
    for name in GOOD:
        probabilities = parsed[name].probabilities
        assert probabilities.dtype == np.float32
        assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_a_missing_modality_is_said_to_be_absent_and_has_no_events(parsed):
    absent = {name: parsed[name].absent for name in GOOD}
    assert {name: set(each) for name, each in absent.items() if each} == {
        "c_silent": {"audio"},
        "e_heard": {"visual"},
    }
    assert not parsed["c_silent"].parsing.audio.any()
    assert not parsed["e_heard"].parsing.visual.any()


def test_there_are_no_events_after_the_end(parsed):
    for event in parsed["f_short"].events():
        assert event.offset <= 3.75
    assert not parsed["g_hushed"].parsing.audio[12:].any()
    assert parsed["g_hushed"].parsing.visual.shape == (17, 3)


def test_what_is_parsed_can_be_written(parsed, tmp_path):
    for name in GOOD:
        written = write(parsed[name], tmp_path, name)
        assert len(written) == 6 and all(path.stat().st_size for path in written)


def test_two_runs_are_identical(videos, judge, parsed):
    again = dict(parse_videos(videos, judge, SmallClip(7), SmallClap(4)))
    for name in GOOD:
        np.testing.assert_array_equal(again[name].probabilities, parsed[name].probabilities)
    assert all(again[name] == parsed[name] for name in BAD)


def test_a_video_is_parsed_alone_as_among_others(videos, judge, parsed):
    for name in GOOD:
        ((_, alone),) = parse_videos({name: videos[name]}, judge, CLIP, CLAP)
        np.testing.assert_allclose(
            alone.probabilities, parsed[name].probabilities, atol=1e-5, rtol=0
        )


def test_groups_of_every_size_give_the_same(videos, judge, parsed):
    for size in (1, 1000):
        found = dict(parse_videos(videos, judge, SmallClip(size), CLAP))
        assert list(found) == list(videos)
        for name in GOOD:
            np.testing.assert_allclose(
                found[name].probabilities, parsed[name].probabilities, atol=1e-4
            )


def test_a_video_is_told_of_as_soon_as_a_batch_of_frames_is_full(videos, judge):
    clip = SmallClip(20)
    found = parse_videos(dict.fromkeys("abcdefghi", videos["f_short"]), judge, clip, CLAP)
    told = []
    for name, _ in found:
        told.append(name)
        # Two clips of four frames are encoded together, and then both videos are done.
        assert clip.encoded == 4 * (len(told) + (len(told) % 2 and name != "i"))
    assert "".join(told) == "abcdefghi"


def test_progress_counts_videos_in_fractions(videos, judge):
    told = []
    names = ["a_clip", "d_empty", "b_long"]
    some = {name: videos[name] for name in names}
    list(parse_videos(some, judge, CLIP, CLAP, on_progress=told.append))
    # Four windows of the long one, after the clip and the one that is bad.
    assert told == pytest.approx([1, *(2 + window / 4 for window in range(1, 5))])


def test_stopped_early_nothing_is_left_behind(videos, judge):
    found = parse_videos({"a": videos["f_short"], "b": videos["b_long"]}, judge, CLIP, CLAP)
    assert next(found)[0] == "a"
    found.close()


def test_who_judged_is_in_the_provenance(captions, parsed, videos):
    model, about = network(captions)
    for judge, expected in (
        (
            by_teachers(captions, CLIP, CLAP),
            {"model": "the teachers alone, by their captions", "captions": captions.record()},
        ),
        (
            by_network(model, about, "runs/mine", CLIP, CLAP),
            {"model": "runs/mine", "trained_on": "mine"},
        ),
    ):
        ((_, video),) = parse_videos({"f": videos["f_short"]}, judge, CLIP, CLAP)
        encoders = {"audio": "small clap", "visual": "small clip"}
        link = video.provenance["link"]
        assert dict(video.provenance) == {**expected, "encoders": encoders, "link": link}


def test_a_network_agrees_with_itself_on_a_split(videos, captions):
    """The same clips, as features in a data set and as videos."""
    model, about = network(captions)
    names = ["a_clip", "c_silent"]
    _, features = zip(*(features_of(videos[name]) for name in names), strict=True)
    audio, visual, sound = (
        np.concatenate([getattr(each, key) for each in features])
        for key in ("audio", "visual", "sound")
    )
    heard, seen = (
        np.concatenate([getattr(each, key) for each in features]) for key in ("heard", "seen")
    )
    audio_prior = label_segments(
        CLAP.logits(sound, CLAP.embed_text(captions.audio)), captions.audio_thresholds
    )
    visual_prior = label_segments(
        CLIP.logits(visual, CLIP.embed_text(captions.visual)), captions.visual_thresholds
    )
    nothing = np.zeros((2, 10, 3), bool)
    split = Split(
        names=names,
        audio=audio,
        visual=visual,
        weak=nothing[:, 0],
        audio_target=nothing,
        visual_target=nothing,
        audio_prior=audio_prior & heard[..., None],
        visual_prior=visual_prior & seen[..., None],
    )
    predicted = predict(model, split)
    judge = by_network(model, about, "runs/mine", CLIP, CLAP)
    found = dict(parse_videos({name: videos[name] for name in names}, judge, CLIP, CLAP))
    np.testing.assert_array_equal(found["a_clip"].parsing.audio, predicted.audio[0])
    np.testing.assert_array_equal(found["a_clip"].parsing.visual, predicted.visual[0])
    np.testing.assert_array_equal(found["c_silent"].parsing.visual, predicted.visual[1])


@pytest.mark.parametrize(
    ("settings", "changes", "said"),
    [
        ({}, {"encoders": None}, "which encoders made the features .* is not known"),
        ({}, {"captions": None}, "PLSIM reads pseudo-labels, and the captions"),
        (
            {},
            {"data": {"name": "s", "simulated": True, "fingerprint": "", "videos": {}}},
            "it was trained on simulated features",
        ),
        ({"motion_dim": 4}, {}, "it reads motion features too.*train --no-motion"),
        ({"audio_dim": 768}, {}, "audio features of width 768, and small clap gives 5: use small"),
        ({"visual_dim": 7}, {}, "visual features of width 7, and small clip gives 12: use small"),
    ],
)
def test_a_network_that_cannot_parse_videos_says_why(captions, settings, changes, said):
    model, about = network(captions, **settings)
    with pytest.raises(ParserError, match=f"^runs/mine .*{said}"):
        by_network(model, replace(about, **changes), "runs/mine", CLIP, CLAP)


def test_a_late_picture_is_not_seen_before_it_starts(captions, tmp_path):
    picture = Picture(list(range(30, 80)), Fraction(1, 8))
    path = write_video(tmp_path / "late.mkv", picture, Sound(tones(10), codec="flac"))
    low = replace(captions, visual_thresholds=np.full(3, -1e3, np.float32))
    ((_, video),) = parse_videos({"a": path}, by_teachers(low, CLIP, CLAP), CLIP, CLAP)
    # It starts at 3.75 seconds.
    assert video.parsing.visual.all(axis=1).tolist() == [False] * 4 + [True] * 6
