"""The page that scores uploaded images with a trained detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from medgan import models
from medgan.app.shared import Chosen, choose, describe, plain, said, warn
from medgan.errors import UserError
from medgan.images.resizing import unfit_square
from medgan.inference.classifier import TrainedClassifier
from medgan.inference.references import Reference, classifier_of, references
from medgan.inference.trained import NotEvaluated, Trained, trained, with_threshold
from medgan.inference.upload import (
    MOST_FILES,
    SIZE_CAP,
    ScoredImage,
    ScoredUploads,
    Upload,
    packed,
    refusal_sentence,
    score_uploads,
    sentences,
)
from medgan.pipelines.arms import ARMS
from medgan.pipelines.outputs import Evaluation
from medgan.plots.anomaly_maps import OPACITY, MapScale, own_scale
from medgan.plots.overlay import enlarged, hottest, overlay, zoomed
from medgan.project.artifacts import Project

ORDER = "The best first, by its AUROC on validation images, which stands behind its name."
SIDE = 320
"""Least side of an enlarged image, in pixels."""
HELP = "Higher is more anomalous. Scores of different detectors are not comparable."
SCALED = (
    "The map is transparent up to the 75th percentile of the pixels of normal validation images, "
    "and has its last color from the 99th."
)
UNSCALED = (
    "There are no maps of validation images: the colors run from the lowest to the highest value "
    "of these maps, so their hottest places need not be anomalous."
)
LIMITS = """
- The detector has learned what normal images of **{dataset}** look like. Whatever is rare there
  raises the score: disease, but also another scanner, exposure, projection, age, or a marker.
- It knows no diseases. An anomaly as faint as the variation between normal images stays below the
  threshold.
- It sees an image of {side} × {side} pixels: what is smaller than a few of these pixels is lost.
- The threshold is from {normals}. At another site the same threshold gives other error rates.
- The map shows where the image differs from what was learned. It is no outline of a lesion.
"""
GRAD_CAM = (
    "Grad-CAM of {name}, the most probable class: where the classifier looks. The colors are "
    "scaled to this map alone."
)
SHOWN_COLUMNS = ["path", "slice", "score", "threshold", "decision", "percentile", "code", "message"]


def page(project: Project, dataset: str) -> None:
    """Score uploaded images, and show maps, references and limits."""
    ranked = _best_first(project, dataset)
    remarks = {name: f"{area:.2f}" for name, area in ranked.items() if area >= 0}
    chosen = choose(project, dataset, list(ranked), "Detector", remarks, ORDER)
    if chosen is None:
        return
    describe(chosen, _detector(chosen).published)
    stamp = _stamp(project, dataset, chosen.name)
    using, missing = _evaluated(chosen, stamp)
    warn(using.cautions)
    files = st.file_uploader(
        f"Images: PNG, JPEG, TIFF, BMP, DICOM or NIfTI, up to {MOST_FILES} files of "
        f"{SIZE_CAP >> 20} MB. They are read on this machine and not kept.",
        accept_multiple_files=True,
        key="upload",
    )
    if missing:
        st.info(said(missing))
    if files:
        if len(files) > MOST_FILES:
            st.warning(f"The first {MOST_FILES} of {len(files)} files are scored.")
        uploads = tuple(Upload(file.name, file.getvalue()) for file in files[:MOST_FILES])
        _show(chosen, using, _scored(chosen, stamp, uploads))
    _show_references(_references(chosen, stamp), using)
    with st.expander("What this detector can and cannot do"):
        st.markdown(_limits(using))


@st.cache_data(max_entries=16, show_spinner=False)
def _validation_auroc(root: Any, dataset: str, name: str, stamp: tuple[int, ...]) -> float:
    """Return the AUROC on validation; -1 where there is none."""
    found: Evaluation | None = Project(root).read(dataset, f"{name}.evaluation")
    area = None if found is None else found.evaluation.validation_auroc
    return -1.0 if area is None or area.value is None else area.value


def _best_first(project: Project, dataset: str) -> dict[str, float]:
    """Return the detectors by their AUROC on validation, never by that on the test images."""
    areas = {
        name: _validation_auroc(project.root, dataset, name, _stamp(project, dataset, name))
        for name in project.trained(dataset, models.detectors())
    }
    return dict(sorted(areas.items(), key=lambda pair: -pair[1]))


def _stamp(project: Project, dataset: str, name: str) -> tuple[int, ...]:
    """Return times that change when there are new scores or results."""
    return project.stamp(dataset, f"{name}.scores", f"{name}.evaluation", "splits")


@st.cache_resource(max_entries=4, show_spinner="Loading the detector")
def _detector(chosen: Chosen) -> Trained:
    project = Project(chosen.root)
    return trained(project, project.environment(chosen.dataset), chosen.name)


@st.cache_resource(max_entries=4, show_spinner="Reading the evaluation")
def _evaluated(chosen: Chosen, stamp: tuple[int, ...]) -> tuple[Trained, str]:
    """Return a detector with its threshold, or without one and why there is none."""
    project, using = Project(chosen.root), _detector(chosen)
    try:
        return with_threshold(project, project.environment(chosen.dataset), using), ""
    except NotEvaluated as missing:
        return using, str(missing)


@st.cache_resource(max_entries=4, show_spinner=False)
def _references(chosen: Chosen, stamp: tuple[int, ...]) -> list[Reference]:
    return references(Project(chosen.root), _evaluated(chosen, stamp)[0])


@st.cache_resource(max_entries=4, show_spinner=False)
def _classifier(chosen: Chosen, arms: tuple[int, ...]) -> TrainedClassifier | None:
    return classifier_of(Project(chosen.root), _detector(chosen))


@st.cache_data(max_entries=4, show_spinner="Scoring")
def _scored(chosen: Chosen, stamp: tuple[int, ...], uploads: tuple[Upload, ...]) -> ScoredUploads:
    return score_uploads(_evaluated(chosen, stamp)[0], uploads)


def _show(chosen: Chosen, using: Trained, found: ScoredUploads) -> None:
    table = found.table
    for _, row in table[table["code"] != ""].iterrows():
        st.error(plain(f"{row['path']}: {refusal_sentence(row['code'], row['message'])}"))
    if not found.images or found.scale is None:
        return
    if len(found.images) > 1:
        _show_list(table)
    names = [image.name for image in found.images]
    name = st.selectbox("Image", names, key="image") if len(names) > 1 else names[0]
    number = names.index(name)
    image = found.images[number]
    rows = table[(table["shown"] == number) & (table["unit"] != "volume")]
    _show_score(using, image, str(rows["unit"].iloc[0]))
    _show_map(using, image, found.scale)
    if not image.outside:
        entries = (f"{arm}.{part}" for arm in ARMS for part in ("trained", "classification"))
        arms = Project(chosen.root).stamp(chosen.dataset, *entries)
        try:
            _show_categories(_classifier(chosen, arms), image)
        except UserError as error:  # it is not evaluated yet, or there is no captum
            st.info(said(str(error)))
    _hand_out(using, found)


def _show_list(table: pd.DataFrame) -> None:
    listed = table[SHOWN_COLUMNS].rename(
        columns={"path": "file", "percentile": "% of normals below"}
    )
    numbers = {"score": "{:.4g}", "threshold": "{:.4g}", "% of normals below": "{:.0f}"}
    for column, form in numbers.items():
        listed[column] = [("" if np.isnan(one) else form.format(one)) for one in listed[column]]
    used = listed.loc[:, (listed != "").any()].astype(str).map(plain)
    st.table(used, hide_index=True, alt="Scores of all files")


def _show_score(using: Trained, image: ScoredImage, unit: str) -> None:
    frozen = using.frozen
    columns = st.columns(3)
    columns[0].metric("Anomaly score", f"{image.score:.4g}", help=HELP)
    if image.outside:
        st.error(said(f"No verdict: {image.outside}."))
    elif frozen is not None and frozen.judges(unit):
        columns[1].metric("Threshold", f"{frozen.value:.4g}", help=f"{frozen.rule}, on validation")
        below = f"{frozen.percentile(image.score):.0f} %"
        columns[2].metric("Normal validation images below", below)
        for sentence in sentences(frozen, image.score):
            st.markdown(said(sentence))


def _show_map(using: Trained, image: ScoredImage, scale: MapScale) -> None:
    left, right = st.columns(2)
    opacity = left.slider("Opacity of the map, %", 0, 100, round(100 * OPACITY), 5, key="opacity")
    zoom = right.slider("Zoom on the hottest place", 1.0, 4.0, 1.0, 0.5, key="zoom")
    height, width = image.original.shape[:2]
    values = np.asarray(image.anomaly_map, np.float32)
    crop = using.preprocessing.crop
    on_original = unfit_square(values, height, width, crop, outside=scale.low)
    pixels = enlarged(image.pixels, SIDE, smooth=False)
    on_pixels = enlarged(values, SIDE, smooth=True)
    shown = [
        (image.original, on_original, f"Original, {image.size[1]} × {image.size[0]} pixels"),
        (pixels, on_pixels, f"Input of the detector, {values.shape[1]} × {values.shape[0]} pixels"),
    ]
    for column, (picture, anomaly_map, caption) in zip(st.columns(2), shown, strict=True):
        place = hottest(anomaly_map)
        drawn = overlay(picture, anomaly_map, scale, opacity / 100)
        part = zoomed(drawn, place, zoom)
        column.image(
            enlarged(part, SIDE, smooth=False),
            caption,
            width="stretch",
            alt=f"{image.name}: {caption.lower()}, with the anomaly map over it",
        )
    scaled = using.frozen is not None and using.frozen.scale is not None
    st.caption(SCALED if scaled else UNSCALED)


def _show_categories(using: TrainedClassifier | None, image: ScoredImage) -> None:
    if using is None:
        return
    st.markdown(f"**Categories** (classifier `{using.arm}`, trained with labels)")
    warn(using.cautions)
    left, right = st.columns(2)
    (found,) = using.probabilities(image.pixels[None]).tolist()
    for name, probability in zip(using.classes, found, strict=True):
        left.progress(probability, plain(f"{name}: {probability:.0%}"))
    with right:
        (seen,) = using.saliency(image.pixels[None])
        scale = own_scale(seen.astype(np.float16), None)
        pixels = enlarged(image.pixels, SIDE, smooth=False)
        drawn = overlay(pixels, enlarged(seen, SIDE, smooth=True), scale)
        caption = GRAD_CAM.format(name=using.classes[int(np.argmax(found))])
        st.image(drawn, plain(caption), SIDE, alt=f"{image.name}: {caption}")


def _hand_out(using: Trained, found: ScoredUploads) -> None:
    left, right = st.columns(2)
    left.download_button(
        "Table (CSV)", found.csv(), "scores.csv", "text/csv", key="table", width="stretch"
    )
    right.download_button(
        "Table and figures (ZIP)",
        lambda: packed(using, found),
        "scores.zip",
        "application/zip",
        key="figures",
        width="stretch",
    )


def _show_references(found: Sequence[Reference], using: Trained) -> None:
    if not found or using.frozen is None:
        return
    st.markdown("**Reference cases: the most confident decisions on validation images**")
    scale = using.frozen.scale
    for column, case in zip(st.columns(4), found, strict=False):
        drawn: NDArray[np.uint8] = enlarged(case.pixels, SIDE // 2, smooth=False)
        if case.anomaly_map is not None and scale is not None:
            values = enlarged(np.asarray(case.anomaly_map, np.float32), SIDE // 2, smooth=True)
            drawn = overlay(drawn, values, scale)
        caption = f"{case.kind}: {case.category}, score {case.score:.4g}"
        column.image(drawn, plain(caption), width="stretch", alt=f"Validation image, {caption}")


def _limits(using: Trained) -> str:
    frozen = using.frozen
    count = None if frozen is None else len(frozen.normals)
    normals = f"{count} normal validation images" if count else "an evaluation that is missing yet"
    side = using.store.info.height
    return LIMITS.format(dataset=using.dataset, side=side, normals=normals)
