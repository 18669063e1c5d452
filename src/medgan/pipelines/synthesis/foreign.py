"""Images of generators that others have trained: drawn by their packages, judged like the images of
the generators here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.evaluation.results import Section, SynthesisResult
from medgan.images.resizing import fit_square
from medgan.images.splits import data_hash
from medgan.images.store import ImageStore
from medgan.images.transforms import as_uint8, crop_padding, prepare
from medgan.pipelines.outputs import SampleGrids, Synthetic
from medgan.pipelines.shared import Earlier
from medgan.pipelines.synthesis.nodes import sample_grid
from medgan.pipelines.synthesis.quality import RealData, assess
from medgan.sources.medigan.drawing import Request, draw
from medgan.sources.medigan.packages import Home


def synthesize_from_source(home: Home, data: RealData) -> Synthetic:
    """Draw images of `synthesis.source`, prepare them like the stored ones, and measure them.

    Raises:
        UserError: no source or class is given, nobody has agreed to run its code, or it fails.
    """
    config, images = data.config, data.images
    classes = images.spec.classes
    if config.source is None:
        raise UserError(
            "synthesis.source is not given: give --params synthesis.source=medigan:ID; "
            "`medgan medigan list` shows the ids."
        )
    if config.source_class not in classes:
        raise UserError(
            f"synthesis.source_class is {config.source_class}: say which class the images of "
            f"{config.source} show, --params synthesis.source_class=NAME with one of "
            f"{', '.join(classes)}."
        )
    request = Request(
        source=config.source,
        count=config.images_per_class,
        seed=data.seed,
        agreed=config.run_foreign_code,
        python=config.source_python,
        arguments=config.source_arguments,
    )
    found = draw(home, request)
    label = classes.index(config.source_class)
    drawn: dict[str, NDArray[Any]] = {
        "images": as_stored(found.images, images),
        "labels": np.full(request.count, label, np.int64),
    }
    return Synthetic(drawn, assess(drawn, data), sample_grid(drawn, data), found.card)


def as_stored(drawn: NDArray[np.uint8], images: ImageStore) -> NDArray[np.uint8]:
    """Resize images (n, h, w, c) to those of the store, and scale their intensity alike.

    Returns:
        (n, H, W, C) as the generators draw them: the inputs of the networks, mapped linearly from
        [-1, 1] to [0, 255]. Nothing is cropped: `preprocessing.crop` is made for the real images.
    """
    import torch

    info = images.info
    fitted = np.stack([fit_square(one, info.height, info.channels) for one in drawn])
    scaled = prepare(torch.from_numpy(fitted), info.scaling, images.spec.size)
    return np.ascontiguousarray(as_uint8(crop_padding(scaled, info.height, info.width)))


def add_source(
    images: ImageStore, splits: pd.DataFrame, synthetic: Synthetic, earlier: Earlier
) -> tuple[Section[SynthesisResult], SampleGrids]:
    """Put the row and the grid of a source beside those of the generators, where these were
    measured on the same data.
    """
    assert synthetic.source is not None  # noqa: S101
    name, data = synthetic.source.name, data_hash(images, splits)
    grid = {name: synthetic.samples}
    before: Section[SynthesisResult] | None = earlier("quality")
    if before is None or before.data != data:
        return Section(data, {name: synthetic.quality}), SampleGrids(grid)
    shown: SampleGrids = earlier("sample_grids") or SampleGrids({})
    others = before.rows.keys() - {name}
    kept = SampleGrids(
        **{
            kind: {one: part[one] for one in part if one in others}
            for kind, part in vars(shown).items()
        }
    )
    rows = {**before.rows, name: synthetic.quality}
    grids = replace(kept, figures={**kept.figures, **grid})
    return Section(data, rows, before.left_out), grids
