"""What is timed on a GPU runs on a processor, on data of LLP's shapes."""

import json

import pytest
from gpu import COMBINATIONS, OF_ABLATION, agreement, figures, measure, random_dataset

from link.errors import LinkError
from link.training import TrainingConfig, fitting_config


def test_recorded_and_plain_steps_are_compared_on_data_of_the_real_shapes():
    dataset = random_dataset(20)
    assert [len(split) for split in dataset.splits().values()] == [20, 2, 3]
    network = fitting_config(dataset, hidden=8, heads=2, feed_forward=8, layers=1)
    assert (network.audio_dim, network.visual_dim, network.motion_dim) == (768, 768, 512)
    config = TrainingConfig(mode="fast", batch_size=4)
    assert 0 < agreement(dataset, network, config) < 1e-3


def test_a_run_that_was_cut_off_is_continued(tmp_path):
    out, machine, measured = tmp_path / "figures.json", {"accelerator": "one", "when": "then"}, []

    def work(name, value):
        def measuring():
            measured.append(name)
            if value is None:
                raise KeyboardInterrupt
            return value

        return name, measuring

    with pytest.raises(KeyboardInterrupt):
        measure([work("first", 1.0), work("second", None), work("third", 3.0)], machine, out)
    works = [work("first", 7.0), work("second", 2.0), work("third", 3.0)]
    measure(works, {**machine, "when": "now"}, out)
    assert measured == ["first", "second", "second", "third"]
    assert json.loads(out.read_text())["figures"] == {"first": 1.0, "second": 2.0, "third": 3.0}
    with pytest.raises(LinkError, match="something else; move it"):
        measure(works, {**machine, "accelerator": "another"}, out)


def test_an_ablation_s_time_is_that_of_all_its_combinations(tmp_path):
    names = [name for name, _ in figures(random_dataset(5), TrainingConfig())]
    assert len(set(names)) == len(names)
    parts = [name for name in names if name.startswith(OF_ABLATION)]
    assert len(parts) == 2 * COMBINATIONS
    out = tmp_path / "figures.json"
    measure([(name, lambda: 2.0) for name in names[:-1]], {}, out)
    ((name, value),) = json.loads(out.read_text())["sums"].items()
    assert name == f"{OF_ABLATION}, bfloat16" and value == 2.0 * COMBINATIONS
    measure([(name, lambda: 3.0) for name in names], {}, out)
    assert json.loads(out.read_text())["sums"][f"{OF_ABLATION}, float32"] == 2.0 * 7 + 3.0
