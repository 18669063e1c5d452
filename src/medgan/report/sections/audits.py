"""What a reviewer asks: the source or the disease, all groups alike, and what noise does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medgan.audits.shortcuts import FLAG, KINDS
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
from medgan.report.text import (
    MISSING,
    capital,
    or_reason,
    p_text,
    readable,
    signed_interval,
    with_interval,
)

KIND_NAMES = {"one_class": "from training normals", "probe": "from training labels"}
GROUPED = ("sensitivity", "specificity", "auroc")


def shortcuts(material: Material) -> Section:
    """Each detector against what is no disease."""
    title, document = "The disease, or the source of the image?", material.together.get("shortcuts")
    if not document:
        return absent_section("shortcuts", title, "Audit of shortcuts")
    judged = document["detectors"]
    ordered = {name: judged[name] for name in material.order if name in judged}
    cells = [
        [
            readable(name),
            told["sentence"],
            ", ".join(told["flags"]) or "none",
            or_reason(told["within_sites"].get("pooled")),
        ]
        for name, told in ordered.items()
    ]
    table = Table(
        ("Detector", "Beside the best shortcut", "Flags", "AUROC within sites"), cells, stacked=True
    )
    names = list(dict.fromkeys(name for kind in KINDS for name in document["shortcuts"][kind]))
    areas = [
        [name, *(or_reason(document["shortcuts"][kind].get(name)) for kind in KINDS)]
        for name in names
    ]
    alone = Table(("Shortcut", *(f"AUROC, learned {KIND_NAMES[kind]}" for kind in KINDS)), areas)
    picture = material.pictures(
        [Picture("shortcuts", "AUROC of shortcuts and of detectors with 95 % intervals")], "whole"
    )
    flagged = sum(FLAG in told["flags"] for told in judged.values())
    takeaway = (
        f"{flagged} of {len(judged)} detectors are not shown to beat the best shortcut, such as the border, the exposure or the site: "
        "they may detect the source of an image."
    )
    return Section(
        "shortcuts",
        title,
        takeaway,
        [*picture, table, Fold("Every shortcut alone", [alone])],
        opened=flagged > 0,
    )


def subgroups(material: Material) -> Section:
    """Figures in groups of patients, at the frozen threshold."""
    title, found = "Groups of patients", material.of("subgroups")
    if not found:
        return absent_section("subgroups", title, "Audit of subgroups")
    first_name, first = next(iter(found.items()))
    if not first["groups"]:
        missing = [
            f"{capital(readable(key))}: {reason}." for key, reason in first["not_measured"].items()
        ]
        return Section(
            "subgroups", title, first["sentence"], [Sentences(missing)] if missing else []
        )
    cells = [[readable(name), document["sentence"]] for name, document in found.items()]
    same = len({document["sentence"] for document in found.values()}) == 1
    blocks: list[Block] = [] if same else [Table(("Detector", "Largest gap"), cells, stacked=True)]
    blocks += [Fold(f"Groups: {readable(name)}", _groups(name, material)) for name in found]
    missing = [
        f"{capital(readable(key))}: {reason}." for key, reason in first["not_measured"].items()
    ]
    blocks += [Sentences(missing, "Not measured")] if missing else []
    takeaway = (
        first["sentence"] if same else f"{capital(readable(first_name))}: {first['sentence']}"
    )
    return Section("subgroups", title, takeaway, blocks)


def _groups(name: str, material: Material) -> list[Block]:
    document = material.of("subgroups")[name]
    cells = [
        [
            f"{readable(column)}: {level}",
            f"{told['n_images']} ({told['n_anomalous']})",
            *(or_reason(told[figure]) for figure in GROUPED),
        ]
        for column, levels in document["groups"].items()
        for level, told in levels.items()
    ]
    note = f"At the frozen threshold. A figure on fewer than {document['minimum']} images of its class is not shown."
    table = Table(
        ("Group", "Images (anomalous)", "Sensitivity", "Specificity", "AUROC"), cells, note=note
    )
    gaps = [
        [
            f"{readable(column)}: {figure}",
            " and ".join(gap.get("between", ())) or MISSING,
            signed_interval(gap),
            p_text(gap.get("p_holm")),
        ]
        for column, figures in document["gaps"].items()
        for figure, gap in figures.items()
        if gap.get("value") is not None
    ]
    shown = [Table(("Largest gap", "Between", "Difference", "p after Holm"), gaps)] if gaps else []
    return [
        *material.pictures(
            [Picture(f"subgroups_{name}", f"Figures of {readable(name)} in groups")], "whole"
        ),
        table,
        *shown,
    ]


def robustness(material: Material) -> Section:
    """The same images under noise, blur, exposure, JPEG and rotation."""
    title, found = "What noise and exposure do", material.of("robustness")
    if not found:
        return absent_section("robustness", title, "Audit of robustness")
    cells = [[readable(name), document["sentence"]] for name, document in found.items()]
    first = next((document for document in found.values() if "sample" in document), None)
    note = (
        ""
        if first is None
        else f"On {first['sample']['n_images']} test images drawn at random; AUROC there differs from that on all test images."
    )
    blocks: list[Block] = list(
        material.pictures(
            [Picture("robustness", "Change of AUROC of each detector under each perturbation")],
            "whole",
        )
    )
    blocks.append(Table(("Detector", "Worst case"), cells, note=note, stacked=True))
    blocks += [
        Fold(capital(readable(name)), list(_perturbed(name, document, material)))
        for name, document in found.items()
        if document["perturbations"]
    ]
    name, told = next(iter(found.items()))
    return Section("robustness", title, f"{capital(readable(name))}: {told['sentence']}", blocks)


def _perturbed(name: str, document: Mapping[str, Any], material: Material) -> Iterator[Block]:
    yield from material.pictures(
        [
            Picture(
                f"robustness_{name}",
                f"AUROC and flipped decisions of {readable(name)} under perturbations",
            )
        ]
    )
    cells = [
        [
            f"{kind} {level}\n{told['unit']}",
            with_interval(step["auroc"]),
            signed_interval(step["change"]),
            _flips(step),
        ]
        for kind, told in document["perturbations"].items()
        for level, step in told["severities"].items()
    ]
    yield Table(
        ("Perturbation", "AUROC", "Change", "Decisions that flip"),
        cells,
        note=f"Unchanged images: AUROC {with_interval(document['clean'])}.",
    )


def _flips(step: Mapping[str, Any]) -> str:
    share = {
        key: None if step["flipped"].get(key) is None else 100 * step["flipped"][key]
        for key in ("value", "low", "high")
    }
    return f"{with_interval(share, 0)} %, {step['n_to_anomalous']} to anomalous, {step['n_to_normal']} to normal"
