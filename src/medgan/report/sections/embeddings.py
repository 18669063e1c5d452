"""What detectors look at, and what their insides tell: heat maps, parts of scores, kinds of
anomalies, projections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medgan.report.blocks import (
    Block,
    Fold,
    Material,
    Picture,
    Section,
    Sentences,
    Table,
    absent_section,
)
from medgan.report.sections.detectors import worst_slices
from medgan.report.text import capital, number, or_reason, readable, with_interval

MAPS = {
    "heatmaps": "Surest decisions: extremes, chosen by score, not typical images.",
    "heatmaps_closest": "Decisions nearest to the threshold: those that another cut would turn.",
    "heatmaps_random": "Misses and false alarms drawn at random: what an error usually looks like.",
}
PIXELS = {
    "pixel_auroc": "Pixel AUROC",
    "pixel_average_precision": "Pixel average precision",
    "aupro_30": "AUPRO to 30 %",
    "dice": "Dice",
}
NO_CLAIM = "not a localisation claim"


def maps(material: Material) -> Section:
    """Heat maps of every detector; those of the best one are open."""
    title = "Where they look"
    shown = [(name, _maps_of(name, material)) for name in material.order]
    made = [(name, blocks) for name, blocks in shown if blocks]
    if not made:
        return absent_section("maps", title, "Heat maps")
    (first, pictures), *others = made
    blocks = [
        *pictures[:1],
        *(
            Fold(f"{capital(readable(first))}: close and random decisions", pictures[1:])
            for _ in pictures[1:2]
        ),
    ]
    blocks += [Fold(capital(readable(name)), pictures) for name, pictures in others]
    takeaway = "A heat map shows where a detector was surprised; look at the random errors before the surest hits."
    return Section(
        "maps",
        title,
        takeaway,
        [*blocks, *_random_errors(material), *worst_slices(material)],
        opened=True,
    )


def _maps_of(name: str, material: Material) -> list[Block]:
    items = [
        Picture(
            f"{kind}_{name}",
            f"Anomaly maps of {readable(name)}",
            f"{capital(readable(name))}. {text}",
        )
        for kind, text in MAPS.items()
    ]
    return [block for item in items for block in material.pictures([item])]


def _random_errors(material: Material) -> Iterator[Fold]:
    """The images of the random pictures by name, so that a radiologist can look them up."""
    tables = []
    for name, document in material.of("random_errors").items():
        cells = [
            [
                image["image_id"],
                readable(kind),
                *(str(image.get(key) or "–") for key in ("category", "sex", "age_band", "site")),
                _score(image),
            ]
            for kind in ("miss", "false_alarm")
            for image in document.get(kind, {}).get("shown", [])
        ]
        counts = " and ".join(
            f"{document[kind]['n']} {words}"
            for kind, words in (("miss", "misses"), ("false_alarm", "false alarms"))
        )
        note = f"Drawn at random from {counts}. Threshold {document['threshold']:.4g}."
        if cells:
            tables.append(
                Table(
                    ("Image", "Error", "Category", "Sex", "Age", "Site", "Score"),
                    cells,
                    readable(name),
                    note,
                )
            )
    if tables:
        yield Fold("Random errors by name", tables)


def _score(image: Mapping[str, Any]) -> str:
    return f"{image['score']:.4g}"


def localisation(material: Material) -> Section:
    """Figures of the maps against masks."""
    title, found = "Do the maps find the lesion?", material.of("localisation")
    if not found:
        return absent_section("localisation", title, "Pixel-level figures")
    measured = {
        name: told for name, told in found.items() if not told["claim"].startswith(NO_CLAIM)
    }
    if not measured:
        claims = sorted({told["claim"] for told in found.values()})
        return Section(
            "localisation",
            title,
            f"{capital('; '.join(claims))}.",
            [Sentences(["Without masks nothing is said about places."])],
        )
    cells = [
        [readable(name), *(with_interval(told[key]) for key in PIXELS)]
        for name, told in measured.items()
    ]
    first = next(iter(measured.values()))
    chance, alone = first["chance"], first.get("location_alone", {})
    cells.append(["chance", *(number({"value": chance.get(key)}) for key in PIXELS)])
    cells += (
        [
            [
                "location alone\nwhere lesions lie in validation, no image looked at",
                *(with_interval(alone.get(key)) for key in PIXELS),
            ]
        ]
        if alone
        else []
    )
    best, area = _highest(measured)
    beaten = (
        "no map beats" if alone and area <= alone["pixel_auroc"]["value"] else "the best map beats"
    )
    bound = (
        f"; {beaten} the mere place of lesions (location alone {number(alone['pixel_auroc'])})"
        if alone
        else ""
    )
    takeaway = f"Highest pixel AUROC: {readable(best)}, {with_interval(measured[best]['pixel_auroc'])}{bound}."
    note = (
        f"{capital(first['claim'])}; {first['share_of_anomalous_pixels']:.1%} of the pixels are marked. "
        "Dice is at a threshold chosen on validation masks. Pixel AUROC flatters where lesions are small: read AUPRO and precision too."
    )
    return Section(
        "localisation",
        title,
        takeaway,
        [Table(("Detector", *PIXELS.values()), cells, note=note, stacked=True)],
    )


def _highest(measured: Mapping[str, Mapping[str, Any]]) -> tuple[str, float]:
    areas = {name: told["pixel_auroc"].get("value") or 0.0 for name, told in measured.items()}
    best = max(areas, key=lambda name: areas[name])
    return best, areas[best]


def components(material: Material) -> Section:
    """What each part of a score would do alone."""
    title, found = "Parts of the scores", material.of("components")
    if not found:
        return absent_section("components", title, "Parts of the scores")
    cells = [
        [
            f"{readable(name)}: {readable(part)}",
            _weight(document, part),
            with_interval(row["auroc"]),
            with_interval(row["average_precision"]),
        ]
        for name, document in found.items()
        for part, row in document["rows"].items()
    ]
    pictures = material.pictures(
        (
            Picture(f"components_{name}", f"AUROC of the parts of the score of {readable(name)}")
            for name in found
        ),
        "half",
    )
    takeaway = "Where a part does better alone than the whole score, try it in the next study: to choose it here would be tuning on test images."
    note = "Each part was given its own threshold on validation, as the whole score was. Weight: its share in the score that is reported."
    table = Table(("Detector and part", "Weight", "AUROC", "Average precision"), cells, note=note)
    return Section(
        "components", title, takeaway, [table, *(Fold("Pictures", [block]) for block in pictures)]
    )


def _weight(document: Mapping[str, Any], part: str) -> str:
    if part == document["own"]:
        return "the score itself"
    weight = document["weights"].get(part)
    return "not in the score" if weight is None else f"{weight:g}"


def kinds(material: Material) -> Section:
    """Whether kinds of anomalies can be told apart from the inside of a detector."""
    title, found = "Kinds of anomalies", material.of("categories")
    if not found:
        return absent_section("kinds", title, "Kinds of anomalies")
    if not any(document["rows"] for document in found.values()):
        reasons = sorted({str(document["reason"]) for document in found.values()})
        return Section("kinds", title, f"{capital('; '.join(reasons))}.", [])
    cells = [
        [
            f"{readable(name)}: {source}",
            or_reason(row["auroc"]),
            with_interval(row.get("balanced_accuracy")),
            "training",
        ]
        for name, document in found.items()
        for source, row in document["rows"].items()
    ]
    first = next(iter(found.values()))
    cells += [
        [
            f"classifier, {arm.replace('_', ' + ')}",
            or_reason(row["auroc"]),
            with_interval(row.get("balanced_accuracy")),
            "training",
        ]
        for arm, row in (first.get("supervised") or {}).items()
    ]
    names = (
        " from ".join(map(readable, first["classes"]))
        if len(first["classes"]) == 2
        else ", ".join(map(readable, first["classes"]))
    )
    learned = "a regression on what detectors see, which learns from labels of training images"
    takeaway = f"{_best_kind(found)} tells {names} best: {learned}."
    picture = material.pictures(
        [Picture("categories", "AUROC of telling the kinds of anomalies apart, for each detector")],
        "whole",
    )
    each = material.pictures(
        (
            Picture(f"categories_{name}", f"Kinds of anomalies told apart by {readable(name)}")
            for name in found
        ),
        "half",
    )
    table = Table(
        ("What it reads", "AUROC", "Balanced accuracy", "Labels used"),
        cells,
        note="On anomalous test images alone. Chance: AUROC 0.5.",
    )
    return Section(
        "kinds",
        title,
        takeaway,
        [*picture, table, *(Fold("Confusion matrices", [block]) for block in each)],
    )


def _best_kind(found: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (name, source, row["auroc"])
        for name, document in found.items()
        for source, row in document["rows"].items()
    ]
    name, source, area = max(rows, key=lambda row: row[2].get("value") or 0.0)
    return f"{capital(readable(name))} ({source}, AUROC {or_reason(area)})"


def projections(material: Material) -> Section:
    """Features on a plane."""
    title, found = "Features on a plane", material.of("projection_facts")
    if not found:
        return absent_section("projections", title, "Projections")
    methods = list(
        dict.fromkeys(method for document in found.values() for method in document["methods"])
    )
    cells = [
        [
            readable(name),
            f"{document['n_images']:,}",
            f"{document['n_features']:,}",
            *(_trust(document["methods"].get(key)) for key in methods),
        ]
        for name, document in found.items()
    ]
    names = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
    columns = (
        "Features of",
        "Images",
        "Features",
        *(f"Trustworthiness, {names.get(method, method)}" for method in methods),
    )
    pictures = material.pictures(
        Picture(f"projections_{name}", f"Features of {readable(name)} on a plane") for name in found
    )
    lines = [
        "The page projections.html beside this one shows every image under the pointer.",
        *_not_run(found),
    ]
    takeaway = "Groups on a plane are a way to look for patterns, not evidence: distances between them mean little."
    note = "Trustworthiness: share of neighbours on the plane that are neighbours among the features, 1 at best."
    folds = [Fold("Pictures", [block]) for block in pictures]
    return Section(
        "projections", title, takeaway, [Sentences(lines), Table(columns, cells, note=note), *folds]
    )


def _trust(told: Mapping[str, Any] | None) -> str:
    return "–" if not told or "trustworthiness" not in told else f"{told['trustworthiness']:.3f}"


def _not_run(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    reasons = {
        told["reason"]
        for document in found.values()
        for told in document["methods"].values()
        if told.get("reason")
    }
    return [f"{reason}." for reason in sorted(reasons)]
