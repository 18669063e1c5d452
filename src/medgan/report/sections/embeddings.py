"""Heat maps, localisation, score components, anomaly types, and projections of features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medgan.audits.results import RandomErrors, Slice, WorstSlices
from medgan.evaluation.details import CategoriesResult, ComponentsResult, Projection
from medgan.evaluation.embeddings import SHOWN_AS
from medgan.evaluation.metrics import AUROC, AVERAGE_PRECISION
from medgan.models import display_name
from medgan.report.blocks import Block, Fold, Picture, Pictures, Section, Sentences, absent_section
from medgan.report.data import ReportData
from medgan.report.sections.arms import arm_name, box_tables
from medgan.report.tables import OR_REASON, VALUE, Column, Columns, Rows, Table
from medgan.report.text import MISSING, number, or_reason, with_interval
from medgan.words import capital, readable

MAPS = {
    "heatmaps": "Most confident decisions: chosen by score, not typical images.",
    "heatmaps_closest": "Decisions nearest to the threshold.",
    "heatmaps_random": "False negatives and false positives drawn at random: typical errors.",
}
PIXELS = {
    "pixel_auroc": "Pixel AUROC",
    "pixel_average_precision": "Pixel average precision",
    "aupro_30": "AUPRO to 30 %",
    "dice": "Dice",
}
NO_CLAIM = "not a localisation claim"
PART_METRICS = (AUROC, AVERAGE_PRECISION)


def maps(data: ReportData) -> Section:
    """The heat maps of every detector; those of the best one are open."""
    title = "Heat maps"
    made = [(name, pictures) for name in data.order if (pictures := _maps_of(name, data))]
    if not made:
        return absent_section("maps", title, "Heat maps")
    (best, (first, *more)), *others = made
    blocks: list[Block] = [first]
    if more:
        blocks.append(Fold(f"{capital(display_name(best))}: close and random decisions", more))
    blocks += [Fold(capital(display_name(name)), pictures[:1]) for name, pictures in others]
    takeaway = (
        "A heat map shows where an image deviates from normal images; inspect the random errors "
        "before the most confident detections."
    )
    if others:
        where = "MODEL/illustrations, in the folder of reports"
        blocks.append(Sentences([f"Their close and random decisions: {where}."]))
    blocks += [*_random_errors(data), *_worst_slices(data)]
    return Section("maps", title, takeaway, blocks, opened=True)


def _maps_of(name: str, data: ReportData) -> list[Block]:
    shown = display_name(name)
    return [
        Pictures([Picture(f"{kind}_{name}", f"Heat maps of {shown}", f"{capital(shown)}. {text}")])
        for kind, text in MAPS.items()
        if f"{kind}_{name}" in data.figures
    ]


def _random_errors(data: ReportData) -> Iterator[Fold]:
    """The images of the random errors by name, so that a radiologist can look them up."""
    found = data.each(lambda made: made.random_errors)
    tables = [_errors(name, errors) for name, errors in found.items()]
    if shown := [table for table in tables if table.rows]:
        yield Fold("Random errors by name", shown)


def _errors(name: str, found: RandomErrors) -> Table:
    kinds = (("false negative", found.false_negative), ("false positive", found.false_positive))
    drawn = " and ".join(f"{sample.n} {kind}s" for kind, sample in kinds)
    return Table(
        ("Image", "Error", "Category", "Sex", "Age", "Site", "Score"),
        [
            [
                one.image_id,
                kind,
                *(str(told or MISSING) for told in (one.category, one.sex, one.age_band, one.site)),
                f"{one.score:.4g}",
            ]
            for kind, sample in kinds
            for one in sample.shown
        ],
        display_name(name),
        f"Drawn at random from {drawn}. Threshold {found.threshold:.4g}.",
    )


def _worst_slices(data: ReportData) -> Iterator[Fold]:
    """The volumes to inspect first, each with its highest slices."""
    found = data.each(lambda made: made.worst_slices)
    if tables := [_volumes(name, each) for name, each in found.items() if each.volumes]:
        yield Fold("Worst slices of volumes", tables)


def _volumes(name: str, found: WorstSlices) -> Table:
    cells: Rows = [
        [
            f"{volume.volume}\n{volume.chosen_as}",
            volume.kind,
            readable(volume.category),
            f"{volume.score:.4g}",
            "; ".join(map(_slice, volume.worst)),
        ]
        for volume in found.volumes
    ]
    note = (
        f"Score of a volume: {found.aggregate} of its slices. Threshold {found.threshold:.4g}. Of "
        f"{found.n_volumes} test volumes ({found.n_anomalous} anomalous) those with the highest "
        "scores, then false negatives and false positives drawn at random. Slice: its number in "
        "the file from 0, or its place in millimetres; in parentheses its place among the scored "
        "slices; then its score. A high score does not prove a disease in the slice."
    )
    columns: Columns = ("Volume", "Decision", "Category", "Score", "Highest slices")
    return Table(columns, cells, capital(display_name(name)), note, stacked=True)


def _slice(one: Slice) -> str:
    name = "" if one.slice is None else f"{one.slice} "
    return f"{name}({one.position} of {one.of}): {one.score:.4g}"


def localisation(data: ReportData) -> Section:
    """Heat maps against masks of the lesions."""
    title, found = "Localisation", data.each(lambda made: made.localisation)
    if not found:
        return absent_section("localisation", title, "Pixel-level metrics")
    measured = {name: told for name, told in found.items() if not told.claim.startswith(NO_CLAIM)}
    boxes = {display_name(name): one.region for name, one in found.items() if one.region}
    inside = box_tables(boxes, "Detector", "anomaly map")
    if not measured:
        claims = "; ".join(sorted({told.claim for told in found.values()}))
        nothing = Sentences(["There are no masks, so locations are not evaluated."])
        return Section("localisation", title, f"{capital(claims)}.", inside or [nothing])
    first = next(iter(measured.values()))
    alone = first.location_alone
    cells: Rows = [
        [display_name(name), *(told.metric(key) for key in PIXELS)]
        for name, told in measured.items()
    ]
    cells.append(["chance", *(first.chance.get(key) for key in PIXELS)])
    if alone:
        remark = "where lesions lie in validation, without the image"
        cells.append([f"location alone\n{remark}", *(alone.get(key) for key in PIXELS)])
    areas = {name: told.metric("pixel_auroc").value or 0.0 for name, told in measured.items()}
    best = max(areas, key=lambda name: areas[name])
    bound = ""
    if alone:
        reference = alone["pixel_auroc"]
        above = areas[best] > (reference.value or 0.0)
        bound = f", {'above' if above else 'not above'} location alone ({number(reference)})"
    share = first.share_of_anomalous_pixels
    note = (
        f"{capital(first.claim)}; {share or 0.0:.1%} of the pixels are marked. The threshold of "
        "Dice is chosen on validation masks. Pixel AUROC is optimistic for small lesions: see "
        "AUPRO and precision too."
    )
    area = with_interval(measured[best].metric("pixel_auroc"))
    takeaway = f"Highest pixel AUROC: {display_name(best)}, {area}{bound}."
    table = Table(("Detector", *PIXELS.values()), cells, note=note, stacked=True)
    return Section("localisation", title, takeaway, [table, *inside])


def components(data: ReportData) -> Section:
    """Each component of a score as a detector of its own."""
    title, found = "Score components", data.each(lambda made: made.components)
    if not found:
        return absent_section("components", title, "Score components")
    cells: Rows = [
        [
            f"{display_name(name)}: {readable(part)}",
            _weight(each, part),
            *(row.metric(metric) for metric in PART_METRICS),
        ]
        for name, each in found.items()
        for part, row in each.rows.items()
    ]
    pictures = [
        Picture(f"components_{name}", f"AUROC of the score components of {display_name(name)}")
        for name in found
    ]
    takeaway = (
        "A component that outperforms the whole score is a candidate for the next experiment; "
        "choosing it here would be tuning on test images."
    )
    note = (
        "Each component has its own threshold, frozen on validation. Weight: its weight in the "
        "reported score."
    )
    names = (metric.name for metric in PART_METRICS)
    table = Table(("Detector and component", "Weight", *names), cells, note=note)
    blocks: list[Block] = [table, Fold("Figures", [Pictures(pictures, "half")])]
    return Section("components", title, takeaway, blocks)


def _weight(found: ComponentsResult, part: str) -> str:
    weight = found.weights.get(part)
    if part == found.own:
        return "the score itself"
    return "not in the score" if weight is None else f"{weight:g}"


def anomaly_types(data: ReportData) -> Section:
    """How well the features of a detector separate anomaly types."""
    title, found = "Anomaly types", data.each(lambda made: made.categories)
    if not found:
        return absent_section("kinds", title, "Anomaly types")
    if not any(each.rows for each in found.values()):
        reasons = "; ".join(sorted({each.reason for each in found.values()}))
        return Section("kinds", title, f"{capital(reasons)}.", [])
    first = next(iter(found.values()))
    rows = [
        (f"{display_name(name)}: {source}", row)
        for name, each in found.items()
        for source, row in each.rows.items()
    ]
    arms = data.results.classifiers
    rows += [(f"classifier, {arm_name(arm, arms)}", row) for arm, row in first.supervised.items()]
    table = Table(
        ("Input", Column("AUROC", OR_REASON), "Balanced accuracy", "Labels used"),
        [[name, row.auroc, row.metric("balanced_accuracy"), "training"] for name, row in rows],
        note="On anomalous test images only. Chance: AUROC 0.5.",
    )
    pictures = [
        Picture(f"categories_{name}", f"Anomaly types separated by {display_name(name)}")
        for name in found
    ]
    alt = "AUROC of the separation of anomaly types by each detector"
    names = map(readable, first.classes)
    told = " from ".join(names) if len(first.classes) == 2 else ", ".join(names)
    takeaway = (
        f"{_best_type(found)} separates {told} best, by a regression on the outputs of the "
        "detector that is trained on labels of training images."
    )
    matrices = Fold("Confusion matrices", [Pictures(pictures, "half")])
    blocks: list[Block] = [Pictures([Picture("categories", alt)], "whole"), table, matrices]
    return Section("kinds", title, takeaway, blocks)


def _best_type(found: Mapping[str, CategoriesResult]) -> str:
    rows = [
        (row.auroc.value or 0.0, f"{capital(display_name(name))} ({source}", row.auroc)
        for name, each in found.items()
        for source, row in each.rows.items()
    ]
    _, who, area = max(rows, key=lambda row: row[0])
    return f"{who}, AUROC {or_reason(area)})"


def projections(data: ReportData) -> Section:
    """Projections of features to the plane."""
    title, found = "Projections", data.each(lambda made: made.projections)
    if not found:
        return absent_section("projections", title, "Projections")
    methods = list(dict.fromkeys(method for each in found.values() for method in each.methods))
    missing = Projection()
    cells: Rows = [
        [
            display_name(name),
            f"{each.n_images:,}",
            f"{each.n_features:,}",
            *(each.methods.get(method, missing).trustworthiness for method in methods),
        ]
        for name, each in found.items()
    ]
    kept = [f"Trustworthiness, {SHOWN_AS.get(method, method)}" for method in methods]
    values = (Column(name, VALUE) for name in kept)
    columns: Columns = ("Features of", "Images", "Features", *values)
    first = next(iter(found))
    shown = display_name(first)
    picture = Picture(f"projections_{first}", f"Projections of the features of {shown}")
    reasons = {told.reason for each in found.values() for told in each.methods.values()} - {""}
    lines = [
        "The page projections.html of this run shows all of them, with the image under the pointer.",
        *(f"{reason}." for reason in sorted(reasons)),
    ]
    takeaway = (
        "Projections help to look for patterns; they are no evidence, and distances between "
        "clusters mean little."
    )
    note = "Trustworthiness: share of neighbors on the plane that are neighbors in the features."
    figure = Fold(f"Figure: {shown}", [Pictures([picture])])
    table = Table(columns, cells, note=note)
    return Section("projections", title, takeaway, [Sentences(lines), table, figure])
