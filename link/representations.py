"""What the features know before and after each module: caught on their way, and probed.

The probes need scikit-learn, of the "book" extra.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from link.dataset import Split
from link.inference import EVALUATION_BATCH, INPUTS, batches
from link.model import LINK

#: Parts of a probe's cross-validation; a video is in one of them.
FOLDS = 5

#: Penalties among which a probe chooses.
PENALTIES = tuple(10.0**power for power in range(6))


@torch.no_grad()
def stages(model: LINK, split: Split, device: str = "cpu") -> dict[str, dict[str, np.ndarray]]:
    """The features of a split before and after every module that the network has.

    Returns
    -------
    dict
        By stage, in the order of the network: ``input``, ``projection``, and ``TSAM``, ``encoder``
        and ``PLSIM`` where there are such. Each has ``audio`` and ``visual``, float32
        (N, T, width).
    """
    model.eval()
    caught = Caught()
    with _watched(model, caught.keep):
        for batch in batches(split, EVALUATION_BATCH, device, names=INPUTS):
            caught.keep("input", audio=batch.audio, visual=batch.visual)
            model(*batch.inputs)
    return caught.arrays()


class Caught:
    """Tensors of one batch after another, by place in the network and by modality."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, list[np.ndarray]]] = {}

    def keep(self, place: str, **by_modality: Tensor) -> None:
        """Keep the tensors (B, ...) of ``audio``, of ``visual``, or of both."""
        for modality, tensor in by_modality.items():
            parts = self._parts.setdefault(place, {"audio": [], "visual": []})
            parts[modality].append(tensor.cpu().numpy())

    def arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """Of all batches together, by place, in the order of their first, and by modality."""
        return {
            place: {modality: np.concatenate(parts) for modality, parts in by_modality.items()}
            for place, by_modality in self._parts.items()
        }


def probe(features: np.ndarray, labels: np.ndarray, videos: np.ndarray) -> np.ndarray:
    """Which of n labelled vectors a linear probe gets right on videos that it was not fitted to.

    A probe that is simpler than the network says what the features make easy (Alain and Bengio,
    2017). This one is a ridge regression of standardised features on the labels, one against the
    rest; its penalty is chosen by the leave-one-out error of the fit. It has no random start.

    Parameters
    ----------
    features, labels, videos
        Float (n, width); integer (n,); the video of each vector, integer (n,). Videos are dealt
        to five folds in turn, so no video is in both the fit and the test.

    Returns
    -------
    numpy.ndarray
        Boolean (n,).
    """
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    _, order = np.unique(videos, return_inverse=True)
    right = np.zeros(len(labels), dtype=bool)
    for fold in range(FOLDS):
        held_out = order % FOLDS == fold
        fitted = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=PENALTIES))
        fitted.fit(features[~held_out], labels[~held_out])
        right[held_out] = fitted.predict(features[held_out]) == labels[held_out]
    return right


def principal_plane(features: np.ndarray) -> tuple[np.ndarray, float]:
    """The two directions in which (n, width) features vary most.

    Returns
    -------
    points, share : numpy.ndarray, float
        (n, 2), and how much of the variance the plane holds, in percent.
    """
    from sklearn.decomposition import PCA

    plane = PCA(n_components=2, svd_solver="full")
    points = plane.fit_transform(features)
    return points, 100 * float(plane.explained_variance_ratio_.sum())


@contextmanager
def _watched(model: LINK, keep) -> Iterator[None]:
    """Within this context, what leaves each module is given to ``keep``."""

    def both(stage: str):
        return lambda module, inputs, output: keep(stage, audio=output[0], visual=output[1])

    def one(modality: str):
        return lambda module, inputs, output: keep("PLSIM", **{modality: output})

    hooks: dict[nn.Module, object] = {model.projection: both("projection")}
    if model.config.tsam:
        hooks[model.tsam] = both("TSAM")
    hooks[model.encoder] = both("encoder")
    if model.config.plsim:
        hooks[model.plsim_audio] = one("audio")
        hooks[model.plsim_visual] = one("visual")
    with ExitStack() as stack:
        for module, hook in hooks.items():
            stack.callback(module.register_forward_hook(hook).remove)
        yield
