from functools import cache

import numpy as np
import pytest
from scipy.stats import chisquare

from link.llp_statistics import headline, load_statistics
from link.simulated_events import SimulatedEvents, draw_events
from link.simulation_check import _p_value, count_drawn, goodness_of_draw

TABLE = load_statistics()


@cache
def counted(misalignment=1.0, seed=0):
    return count_drawn(draw_events(TABLE, 1500, misalignment, np.random.default_rng(seed)))


def test_drawn_videos_are_counted_as_by_hand():
    weak = np.zeros((2, 25), dtype=bool)
    audio, visual = np.zeros((2, 2, 10, 25), dtype=bool)
    weak[0, [3, 4]] = weak[1, 3] = True
    audio[0, :4, 3] = visual[0, 2:6, 3] = visual[1, 9, 3] = True
    table = count_drawn(SimulatedEvents(weak, audio, visual))
    assert table["evaluation"]["both"][3] == table["evaluation"]["seen_only"][3] == 1
    assert table["evaluation"]["neither"][4] == 1
    assert table["extents"] == {
        "heard_only": {},
        "seen_only": {"0000000001": 1},
        "both": {"1111000000 0011110000": 1},
    }
    assert table["label_sets"] == {"3 4": 1, "3": 1}
    assert headline(table)["iou"] == pytest.approx(2 / 6)


@pytest.mark.parametrize("seed", range(3))
def test_what_follows_the_table_is_not_told_from_it(seed):
    # Fifteen p-values with fixed seeds: by chance alone the least would be some 1 / 15.
    assert min(goodness_of_draw(counted(seed=seed), TABLE).values()) > 0.003


def test_what_does_not_follow_the_table_is_found_out():
    found = goodness_of_draw(counted(0.8), TABLE)
    assert found["modalities of a class"] < 1e-6
    assert found["labels of a video"] > 0.003
    independent = goodness_of_draw(counted(2.0), TABLE)
    assert independent["extents, heard and seen"] < 1e-6


def test_an_extent_that_the_table_lacks_cannot_be_drawn_from_it():
    table = {**TABLE, "extents": {**TABLE["extents"], "seen_only": {"1111111111": 1}}}
    assert goodness_of_draw(counted(), table)["extents, seen only"] == 0


def test_the_test_is_pearsons():
    found, law = np.array([30, 50, 20, 1, 2]), np.array([300, 450, 220, 10, 20])
    # The last two are expected less than five times, and become one.
    expected = 103 * np.array([300, 450, 220, 30]) / 1000
    assert _p_value([(found, law)]) == pytest.approx(chisquare([30, 50, 20, 3], expected).pvalue)


def test_tests_of_several_counts_add_up():
    rng = np.random.default_rng(0)
    law = np.array([40, 60])
    values = [
        _p_value([(rng.multinomial(200, law / 100), law) for _ in range(5)]) for _ in range(400)
    ]
    # Under the law p-values are uniform.
    assert np.quantile(values, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.07)
