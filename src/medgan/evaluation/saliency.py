"""Where a classifier looks, and whether that depends on what it has learned.

Grad-CAM (Selvaraju 2017) weighs the last feature maps by the mean gradient of the logit of a class;
integrated gradients (Sundararajan 2017) add up the gradients on the way from an image of zeros, the
mean of a standardised image. Both are captum's.

Two checks say whether a map means anything. Parameter randomisation (Adebayo 2018): where the map
of the trained network is like that of one with random weights, it shows the image, not what was
learned. Localisation: the share of the map inside the mask of the anomaly, or inside the box where
findings are expected, beside the share of the image that these cover, which a map without knowledge
would have.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.details import RegionShare
from medgan.stats.bootstrap import Estimate, interval, mean_over, ratio

if TYPE_CHECKING:
    from torch import Tensor, nn

Maps = NDArray[np.float64]
STEPS = 24
"""Steps of integrated gradients."""
AT_ONCE = 8
NO_CAPTUM = "not available: pip install 'medgan[saliency]'"
NO_MASK = "not estimable: no image has a mask"
NOT_SHOWN = (
    "A map whose correlation with that of a network with random weights is high shows the image, not "
    "what the network has learned."
)


@dataclass(frozen=True, kw_only=True)
class MethodChecks:
    """The sanity checks of one method."""

    last_layer_random: Estimate
    """Mean Spearman correlation over pixels with the map after the last layer was drawn anew."""
    all_random: Estimate
    """The same after all layers were."""
    inside_mask: Estimate
    """Mean share of the map inside the mask, of the images that have one."""
    inside_region: RegionShare | None = None
    """The share inside the box of `evaluation.region`; None where there is no box."""


@dataclass(frozen=True, kw_only=True)
class SaliencyResult:
    """The sanity checks of the saliency of one arm (saliency.json)."""

    methods: Mapping[str, MethodChecks] = field(default_factory=dict)
    n_images: int = 0
    n_masks: int = 0
    mask_area: Estimate = field(default_factory=lambda: Estimate(None, reason=NO_MASK))
    """Mean share of the image that the mask covers."""
    network: str = ""
    reason: str = ""
    """Why there is nothing."""


def grad_cam(network: Any, images: Tensor, targets: Tensor) -> Tensor:
    """Compute maps (n, H, W) >= 0 of the last feature maps of an `ImageClassifier` in eval mode,
    interpolated to the size of the images (n, C, H, W), for a class each (n,).
    """
    import torch.nn.functional as F
    from captum.attr import LayerGradCam

    method = LayerGradCam(network, network.trunk)
    found = method.attribute(images, targets, relu_attributions=True)
    size = images.shape[2:]
    return F.interpolate(found, size, mode="bilinear", align_corners=False)[:, 0]


def integrated_gradients(network: Any, images: Tensor, targets: Tensor) -> Tensor:
    """Compute maps (n, H, W) >= 0: the absolute attributions, summed over channels."""
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(network, multiply_by_inputs=True)
    size = AT_ONCE * STEPS
    found = method.attribute(images, target=targets, n_steps=STEPS, internal_batch_size=size)
    return found.abs().sum(1)


METHODS: Mapping[str, Callable[[Any, Any, Any], Any]] = {
    "grad_cam": grad_cam,
    "integrated_gradients": integrated_gradients,
}
SHOWN_AS = {"grad_cam": "Grad-CAM", "integrated_gradients": "Integrated gradients"}


def saliency(network: Any, images: Tensor, targets: Tensor, method: str = "grad_cam") -> Maps:
    """Compute maps (n, H, W) >= 0 of images (n, C, H, W) for a class each (n,), on the device of
    the network.

    Raises:
        ImportError: captum is not installed.
    """
    import torch

    device = next(network.parameters()).device
    batches = zip(torch.split(images, AT_ONCE), torch.split(targets, AT_ONCE), strict=True)
    parts = [METHODS[method](network, some.to(device), of.to(device)) for some, of in batches]
    return np.concatenate([part.detach().cpu().double().numpy() for part in parts])


def check_saliency(
    model: nn.Module,
    untrained: nn.Module,
    images: Tensor,
    groups: NDArray[Any],
    masks: NDArray[np.bool_],
    n_resamples: int = 1000,
) -> tuple[SaliencyResult, dict[str, Maps]]:
    """Compute the maps of the most probable classes, and check them.

    Args:
        model: a trained `models.classifier.Classifier`, in eval mode.
        untrained: the same with random weights.
        images: (n, C, H, W).
        groups: the patient of each (n,).
        masks: (n, H, W), without a pixel where there is no mask.
        n_resamples: resamples of patients.

    Returns:
        The checks, and the maps (n, H, W) by method; the reason and no maps without captum.
    """
    network: Any = model.network
    targets = model.probabilities(images).argmax(1).clone()  # type: ignore[operator]
    half = _with_random_head(network, untrained.network)
    marked = masks.any((1, 2))
    checks, maps = {}, {}
    for name in METHODS:
        try:
            found, partly, wholly = (
                saliency(of, images, targets, name) for of in (network, half, untrained.network)
            )
        except ImportError:
            return SaliencyResult(reason=NO_CAPTUM), {}
        # The share of each map inside its mask; 0 for an empty map.
        within = (found * masks).sum((1, 2))[marked]
        inside = ratio(within, found.sum((1, 2))[marked], otherwise=0.0)
        checks[name] = MethodChecks(
            last_layer_random=_mean(_correlations(found, partly), groups, n_resamples),
            all_random=_mean(_correlations(found, wholly), groups, n_resamples),
            inside_mask=_mean(inside, groups[marked], n_resamples),
        )
        maps[name] = found
    area = _mean(masks[marked].mean((1, 2)), groups[marked], n_resamples)
    n_masks = int(marked.sum())
    result = SaliencyResult(methods=checks, n_images=len(images), n_masks=n_masks, mask_area=area)
    return result, maps


def _with_random_head(network: Any, untrained: Any) -> Any:
    """Copy a network, with the head of an untrained one."""
    mixed = copy.deepcopy(network)
    mixed.head.load_state_dict(untrained.head.state_dict())
    return mixed.eval()


def _correlations(first: Maps, second: Maps) -> Maps:
    """Compute the Spearman correlation over pixels of each pair of maps (n,); 0 for a flat map."""
    from scipy.stats import rankdata

    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second)]
    one, other = (values - values.mean(1, keepdims=True) for values in ranks)
    lengths = np.sqrt((one**2).sum(1) * (other**2).sum(1))
    return ratio((one * other).sum(1), lengths, otherwise=0.0)


def _mean(values: Maps, groups: NDArray[Any], n_resamples: int) -> Estimate:
    if not len(values):
        return Estimate(None, reason=NO_MASK)
    # Correlations may be negative.
    return interval(replace(mean_over(values), share=False), groups, n_resamples)
