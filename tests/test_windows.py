import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from link.events import SEGMENTS
from link.windows import (
    constant_rate,
    constant_rate_part,
    covered,
    evenly,
    merge_windows,
    segment_count,
    split_sound,
    window_starts,
)

# Ten seconds of video at a constant rate, in and out of ffmpeg 4.2.2 with `-r 8`: the frames that
# came out first, how many came out, and those that VALOR picks from them.
OUT_OF_FFMPEG = {
    30: ([0, 1, 3, 7, 10, 14, 18, 22], 82, [0, 29, 63, 97, 130, 164, 198, 232, 265, 299]),
    25: ([0, 1, 2, 5, 9, 12, 15, 18], 82, [0, 24, 52, 80, 109, 137, 165, 193, 221, 249]),
    15: ([0, 1, 2, 3, 4, 6, 8, 10], 82, [0, 13, 30, 47, 64, 81, 98, 115, 132, 148]),
    12: ([0, 1, 2, 3, 4, 5, 6, 8], 82, [0, 11, 24, 38, 51, 65, 78, 92, 105, 119]),
    5: ([0, 0, 1, 1, 2, 3, 3, 4], 80, [0, 5, 11, 16, 21, 27, 33, 38, 43, 49]),
    1: ([0, 0, 0, 0, 0, 0, 0, 0], 80, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
}


def steady_ticks(rate: int, seconds: int) -> tuple[np.ndarray, np.ndarray]:
    """Times and durations as ffmpeg counts them: in whole ticks if a tick or nearly one."""
    ticks = np.arange(rate * seconds) * 8 / rate
    ticks += np.where(ticks % 1 == 0, 0, 2**-17)
    return ticks, np.full(len(ticks), round(8 / rate) or 8 / rate)


@pytest.mark.parametrize("rate", OUT_OF_FFMPEG)
def test_constant_rate_is_what_ffmpeg_writes(rate):
    first, count, picks = OUT_OF_FFMPEG[rate]
    shown = constant_rate(*steady_ticks(rate, 10))
    assert shown[:8].tolist() == first
    assert len(shown) == count
    assert shown[evenly(len(shown), 10)].tolist() == picks


# A video of variable rate in and out of ffmpeg 4.2.2: milliseconds and, below, frames.
IRREGULAR = [0, 154, 418, 528, 538, 629, 761, 788, 804, 1008, 1230, 1467, 1517, 1957]
IRREGULAR_OUT = [0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, 12]


def test_constant_rate_of_a_video_whose_rate_varies():
    ticks = np.array(IRREGULAR) * 8 / 1000
    own = np.rint(np.diff(ticks))
    lengths = np.where(own > 0, own, 1.0)
    assert constant_rate(ticks[:-1], lengths).tolist() == IRREGULAR_OUT


def test_a_gap_is_filled_by_the_frame_before_it_and_a_late_start_by_the_first_frame():
    # By hand: frame 0 is 3 late and takes 4 ticks; frame 1 takes the fifth; frame 2 is 19 late, so
    # 20 ticks, of which round(18.4) go to frame 1; the median of 2, 0 and 18 closes the video.
    shown = constant_rate(np.array([3.0, 4.0, 24.0]), np.ones(3)).tolist()
    assert shown == [0] * 4 + [1] * (1 + 18) + [2] * 2 + [2] * 2


@given(
    rate=st.sampled_from([8, 12, 15, 24, 25, 30, 50, 60]),
    seconds=st.integers(1, 12),
    start=st.integers(0, 4),
)
def test_a_part_is_what_a_video_cut_there_would_give(rate, seconds, start):
    ticks, lengths = steady_ticks(rate, 20)
    cut = constant_rate(*steady_ticks(rate, seconds))
    part = constant_rate_part(ticks, lengths, 8 * start, 8 * (start + seconds))
    assert part.tolist() == (cut + rate * start).tolist()


def test_a_part_begins_with_what_is_on_the_screen_and_stays_within_its_time():
    # Three slides, at 0, 13 and 45 seconds; nobody says how long each is shown.
    ticks, lengths = np.array([0.0, 104.0, 360.0]), np.full(3, 0.25)
    part = constant_rate_part(ticks, lengths, 80, 160)
    assert len(part) in (79, 80)
    assert set(part[:23]) == {0}
    assert set(part[25:]) == {1}
    assert constant_rate_part(ticks, lengths, 160, 240).tolist() == [1] * 79


def test_evenly_rounds_halves_to_the_even_neighbour():
    assert evenly(82, 10).tolist() == [0, 9, 18, 27, 36, 45, 54, 63, 72, 81]
    assert evenly(80, 10).tolist() == [0, 9, 18, 26, 35, 44, 53, 61, 70, 79]
    assert evenly(4, 3).tolist() == [0, 2, 3]  # 1.5 goes up to 2
    assert evenly(6, 3).tolist() == [0, 2, 5]  # 2.5 goes down to 2
    assert evenly(1, 10).tolist() == [0] * 10


def test_sound_is_split_as_valor_splits_it():
    # 480,375 samples, which is what ten seconds of 44.1 kHz AAC become.
    waveform = np.arange(480_375)
    parts = split_sound(waveform)
    assert parts.shape == (10, 48_037)
    starts = [round(480_375 * i / 10) for i in range(10)]
    assert parts[:, 0].tolist() == starts
    assert (parts == parts[:, :1] + np.arange(48_037)).all()
    with pytest.raises(ValueError, match="3 samples cannot be cut into 4 parts"):
        split_sound(waveform[:3], 4)


def test_segments_are_rounded_and_at_least_one():
    durations = [0.04, 0.6, 1.4, 9.49, 9.5, 10.0, 10.49, 10.5, 7200.2]
    assert [segment_count(each) for each in durations] == [1, 1, 1, 9, 10, 10, 10, 11, 7200]


@given(segments=st.integers(1, 200), hop=st.integers(1, 10))
def test_windows_reach_every_segment_and_the_last_ends_with_the_video(segments, hop):
    starts = window_starts(segments, hop)
    assert starts == sorted(set(starts))
    assert {start + offset for start in starts for offset in range(10)} >= set(range(segments))
    assert starts[0] == 0
    assert starts[-1] == max(segments - 10, 0)
    assert all(start % hop == 0 for start in starts[:-1])


@pytest.mark.parametrize("hop", [0, 11])
def test_a_hop_that_would_leave_seconds_out_is_refused(hop):
    with pytest.raises(ValueError, match=f"hop is {hop} seconds: use 1 to 10"):
        window_starts(30, hop)


def test_a_segment_is_there_if_half_of_it_is():
    def seconds(*args):
        return np.flatnonzero(covered(*args)).tolist()

    assert seconds(0, 10, 0.0, 10.0) == list(range(10))
    assert seconds(0, 10, 0.4, 9.5) == list(range(10))
    assert seconds(0, 10, 0.6, 9.4) == list(range(1, 9))
    assert seconds(5, 30, 7.2, 11.0) == [2, 3, 4, 5]
    assert seconds(0, 3, 0.0, 3.4) == [0, 1, 2]
    assert seconds(0, 1, 0.0, 0.04) == [0]
    assert seconds(20, 30, 0.0, 12.0) == []
    assert seconds(0, 3, 3.1, 3.3) == []  # after the last segment of a video of 3.3 seconds


@given(segments=st.integers(1, 60), hop=st.integers(1, 10), seed=st.integers(0, 2**32 - 1))
@example(segments=7, hop=5, seed=0)
def test_windows_that_agree_merge_into_the_timeline_they_were_cut_from(segments, hop, seed):
    timeline = np.random.default_rng(seed).random((segments, 3)).astype(np.float32)
    starts = window_starts(segments, hop)
    # What a window says beyond the end of the video must not count.
    padded = np.pad(timeline, ((0, SEGMENTS), (0, 0)), constant_values=9.0)
    windows = np.stack([padded[start : start + SEGMENTS] for start in starts])
    merged = merge_windows(starts, windows, segments)
    assert merged.dtype == np.float32
    np.testing.assert_allclose(merged, timeline, rtol=1e-6)


@given(segments=st.integers(11, 40), hop=st.integers(1, 10), seed=st.integers(0, 2**32 - 1))
def test_a_segment_gets_the_average_of_the_windows_in_which_it_is_valid(segments, hop, seed):
    random = np.random.default_rng(seed)
    starts = window_starts(segments, hop)
    windows = random.random((len(starts), SEGMENTS, 2))
    valid = random.random((len(starts), SEGMENTS)) < 0.7
    merged = merge_windows(starts, windows, segments, valid)
    for second in range(segments):
        said = [
            windows[index, second - start]
            for index, start in enumerate(starts)
            if 0 <= second - start < SEGMENTS and valid[index, second - start]
        ]
        np.testing.assert_allclose(merged[second], np.mean(said, axis=0) if said else [0, 0])
