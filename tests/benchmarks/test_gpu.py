"""What is timed on a GPU runs on a processor, on data of LLP's shapes."""

from gpu import agreement, random_dataset

from link.training import TrainingConfig, fitting_config


def test_recorded_and_plain_steps_are_compared_on_data_of_the_real_shapes():
    dataset = random_dataset(20)
    assert [len(split) for split in dataset.splits().values()] == [20, 2, 3]
    network = fitting_config(dataset, hidden=8, heads=2, feed_forward=8, layers=1)
    assert (network.audio_dim, network.visual_dim, network.motion_dim) == (768, 768, 512)
    config = TrainingConfig(mode="fast", batch_size=4)
    assert 0 < agreement(dataset, network, config) < 1e-3
