"""CLAIM, the Checklist for Artificial Intelligence in Medical Imaging, 2024 update, answered from the documents of a run.

Numbers and order of the items: Tejani et al., Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update, Radiology:
Artificial Intelligence 6(4), e240300; the topics are in short words of our own. An answer says what a document says. What only authors can
say - funding, ethics, who annotated - is "not reported".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from medgan.evaluation.cohort import NOT_REPORTED
from medgan.evaluation.wording import capital, readable, size_of, with_interval

REPORTED, PARTLY, NOT_APPLICABLE = "reported", "partly reported", "not applicable"
STATUSES = (REPORTED, PARTLY, NOT_REPORTED, NOT_APPLICABLE)
SOURCE = (
    "CLAIM 2024 update (Tejani et al., Radiology: Artificial Intelligence 6(4), e240300). "
    "Topics are in our own words; the paper has the full ones."
)
Answer = tuple[str, str]


@dataclass(frozen=True)
class Case:
    """The documents of a run."""

    rows: Mapping[str, Any]
    together: Mapping[str, Mapping[str, Any]]
    each: Mapping[str, Mapping[str, Mapping[str, Any]]]
    cards: Mapping[str, Mapping[str, Any]]
    about: Mapping[str, Any]

    @property
    def row(self) -> Mapping[str, Any]:
        """The row of any detector, for what is the same in all."""
        return next(iter(self.rows.values()), {})

    @property
    def flow(self) -> Mapping[str, Any]:
        """The flow of images."""
        flow: Mapping[str, Any] = self.together.get("cohort", {}).get("flow", {})
        return flow


def checklist(
    rows: Mapping[str, Any],
    together: Mapping[str, Mapping[str, Any]],
    each: Mapping[str, Mapping[str, Mapping[str, Any]]],
    cards: Mapping[str, Mapping[str, Any]],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """The 44 items with their answers.

    Args:
        rows: the row of each detector.
        together: documents about all detectors or the data, by kind.
        each: documents about one detector, by kind and detector.
        cards: the card of each published model.
        about: dataset, versions, seed, n_boot, image_size, intensity, fold.

    Returns:
        {"checklist", "source", "counts": {status: items}, "items": [{"item", "section", "topic", "status", "answer"}]}.
    """
    case = Case(rows, together, each, cards, about)
    items = []
    for number, (section, topic, answer) in ITEMS.items():
        status, text = answer(case)
        items.append({"item": number, "section": section, "topic": topic, "status": status, "answer": text})
    counted = Counter(item["status"] for item in items)
    return {"checklist": "CLAIM 2024", "source": SOURCE, "counts": {status: counted[status] for status in STATUSES}, "items": items}


def _said(status: str, text: str) -> Callable[[Case], Answer]:
    return lambda _: (status, text)


def _by_authors(what: str) -> Callable[[Case], Answer]:
    return _said(NOT_REPORTED, f"{capital(NOT_REPORTED)}: {what}.")


def _eligibility(case: Case) -> Answer:
    reasons = {
        reason: count
        for step in ("excluded", "quarantined", "dropped")
        for reason, count in case.flow.get(step, {}).get("reasons", {}).items()
    }
    if not case.flow:
        return NOT_REPORTED, "Not reported: there is no cohort document."
    listed = "; ".join(f"{reason}: {count:,}" for reason, count in reasons.items()) or "no image was left out"
    return PARTLY, f"Images left out after listing: {listed}. Who entered the data set in the first place: not reported."


def _preprocessing(case: Case) -> Answer:
    return REPORTED, f"Images of {case.about['image_size']} pixels, intensity '{case.about['intensity']}'."


def _subsets(case: Case) -> Answer:
    mix = case.flow.get("parts", {}).get("train", {}).get("unlabelled_mix", {}).get("images")
    if not mix:
        return NOT_APPLICABLE, "No part of an image or of the data set is taken for one detector alone."
    return REPORTED, f"{mix:,} training images serve, without their labels, as the unlabelled mix."


def _missing(case: Case) -> Answer:
    parts = case.together.get("cohort", {}).get("demographics", {}).get("parts", {})
    missing = {name: told["share"] for name, told in parts.get("all", {}).get("missing", {}).items() if told["n"]}
    if not parts:
        return NOT_REPORTED, "Not reported: there is no cohort document."
    shares = ", ".join(f"{readable(name)} {share:.0%}" for name, share in missing.items()) or "none"
    return (
        REPORTED,
        f"Missing values (share of cases): {shares}. They are counted as unknown; nothing is imputed, and no detector sees them.",
    )


def _acquisition(case: Case) -> Answer:
    everyone = case.together.get("cohort", {}).get("demographics", {}).get("parts", {}).get("all", {})
    known = [name for name in ("view", "scanner", "sequence") if set(everyone.get(name, {})) - {"unknown"}]
    if not known:
        return NOT_REPORTED, "Not reported: the data set records no view, scanner or sequence."
    return PARTLY, f"Recorded with the images: {', '.join(known)} (Table 1). The protocol of acquisition: not reported."


def _reference(case: Case) -> Answer:
    standard = case.together.get("reference_standard", {}).get("reference_standard", NOT_REPORTED)
    return (NOT_REPORTED, "Not reported: set evaluation.reference_standard.") if standard == NOT_REPORTED else (REPORTED, f"{standard}.")


def _variability(case: Case) -> Answer:
    noise = case.together.get("reference_standard", {}).get("label_noise", {}).get("reported", NOT_REPORTED)
    if noise == NOT_REPORTED:
        return NOT_REPORTED, "Not reported: neither the agreement of readers nor a share of wrong labels is given."
    return (
        PARTLY,
        f"Wrong labels: {noise['anomalous']:.1%} of anomalous, {noise['normal']:.1%} of normal ones. Agreement of readers: not reported.",
    )


def _partitions(case: Case) -> Answer:
    audit, parts = case.together.get("leakage_audit", {}), case.flow.get("parts", {})
    if not parts:
        return NOT_REPORTED, "Not reported: there is no cohort document."
    sizes = ", ".join(f"{name} {told['images']:,}" for name, told in parts.items())
    fold = f" The test part is fold {case.about['fold']}." if case.about.get("fold") else ""
    return REPORTED, f"Split '{audit.get('split', 'unknown')}', images: {sizes}.{fold}"


def _disjoint(case: Case) -> Answer:
    audit = case.together.get("leakage_audit")
    if not audit:
        return NOT_REPORTED, "Not reported: there is no leakage audit."
    statement = audit.get("near_duplicates", {}).get("statement", "Near-duplicates were not looked for.")
    without = audit.get("images_without_patient", 0)
    level = "Patients" if not without else f"Patients where they are known ({without:,} images have none)"
    return (PARTLY if without else REPORTED), f"{level} and equal pictures: {audit['verdict']}. {statement}"


def _sample_size(case: Case) -> Answer:
    expected = case.row.get("expected_half_width")
    if not expected or expected.get("value") is None:
        return NOT_REPORTED, "Not reported: no size was planned."
    return PARTLY, (
        f"No size was planned. With {expected['n_normal']} normal and {expected['n_anomalous']} anomalous {expected['unit']}s an AUROC "
        f"has an expected half-width of {expected['value']:.3f}."
    )


def _versions(case: Case) -> Answer:
    return REPORTED, ", ".join(
        f"{name} {version}" for name, version in case.about["versions"].items()
    ) + "; all others in requirements.lock."


def _models(case: Case) -> Answer:
    return (
        REPORTED if case.cards else NOT_REPORTED
    ), f"In code and in the card of each model ({len(case.cards)} cards), with its configuration."


def _initial(case: Case) -> Answer:
    return REPORTED, f"Random, from seed {case.about['seed']}; pretrained weights are used only where a card names them."


def _training(case: Case) -> Answer:
    if not case.cards:
        return NOT_REPORTED, "Not reported: there is no model card."
    steps = ", ".join(f"{readable(name)} {card['planned_steps']:,} steps" for name, card in case.cards.items())
    return REPORTED, f"{steps}. Batches, augmentations and rates stand in the cards, curves in the report."


def _chosen(case: Case) -> Answer:
    choices = {name: card["choice"] for name, card in case.cards.items()}
    used = sorted({row["labels_used"] for row in case.rows.values()})
    if not choices:
        return NOT_REPORTED, "Not reported: there is no model card."
    return (
        REPORTED,
        f"The card of each of {len(choices)} models says what chose its weights; never test images. Labels used: {', '.join(used)}.",
    )


def _statistics(case: Case) -> Answer:
    tests = case.together.get("detector_tests", {})
    unit = case.row.get("interval_unit", "image")
    compared = (
        f"Paired tests against the best baseline, {tests['correction']} correction over {tests['n_tests']}."
        if tests
        else "No test was made."
    )
    return (
        REPORTED,
        f"95 % intervals from {case.about['n_boot']:,} resamples of {unit}s. {compared} One training each: no spread between seeds.",
    )


def _robust(case: Case) -> Answer:
    run = [name for name, told in case.each.get("robustness", {}).items() if told.get("perturbations")]
    if not run:
        return NOT_REPORTED, "Not reported: no detector was scored on perturbed images."
    return (
        REPORTED,
        f"{len(run)} of {len(case.rows)} detectors under noise, blur, brightness, contrast, JPEG and rotation.",
    )


def _explained(case: Case) -> Answer:
    claims = sorted({told["claim"] for told in case.each.get("localisation", {}).values()})
    checked = "; ".join(claims) if claims else "no pixel-level figures"
    return (
        REPORTED if any("mask" in claim and "no masks" not in claim for claim in claims) else PARTLY
    ), f"Heat maps of each detector: {checked}."


def _internal(case: Case) -> Answer:
    if not case.rows:
        return NOT_REPORTED, "Not reported: no detector was evaluated."
    return REPORTED, f"On held-out images of the same source: {size_of(case.row)}; validation figures stand beside those of test."


def _flow(case: Case) -> Answer:
    if not case.flow:
        return NOT_REPORTED, "Not reported: there is no cohort document."
    return REPORTED, f"{case.flow['listed']:,} images listed, {case.flow['kept']['images']:,} kept; flow chart in the report."


def _who(case: Case) -> Answer:
    everyone = case.together.get("cohort", {}).get("demographics", {}).get("parts", {}).get("all", {})
    known = [name for name in ("age", "sex", "site") if everyone.get(name) and set(everyone[name]) - {"unknown"}]
    if not known:
        return NOT_REPORTED, "Not reported: the data set records no age, sex or site."
    return PARTLY, f"Table 1 for each part: {', '.join(known)}. Clinical characteristics beyond the finding: not reported."


def _performance(case: Case) -> Answer:
    groups = sorted({readable(column) for told in case.each.get("subgroups", {}).values() for column in told["groups"]})
    shown = ", ".join(f"{readable(name)} {with_interval(row['auroc'])}" for name, row in case.rows.items())
    if not shown:
        return NOT_REPORTED, "Not reported: no detector was evaluated."
    return REPORTED, f"AUROC with 95 % intervals: {shown}. Groups: {', '.join(groups) or 'none recorded'}."


def _accuracy(case: Case) -> Answer:
    if not case.rows:
        return NOT_REPORTED, "Not reported: no detector was evaluated."
    return (
        REPORTED,
        "Sensitivity, specificity, precision and predictive values with 95 % intervals at thresholds that were frozen on validation.",
    )


def _failures(case: Case) -> Answer:
    drawn = case.each.get("random_errors", {})
    if not drawn:
        return NOT_REPORTED, "Not reported: no errors were drawn."
    return (
        PARTLY,
        f"Confusion matrices; random misses and false alarms of {len(drawn)} detectors with their maps. No reader has commented on them.",
    )


ITEMS: Mapping[int, tuple[str, str, Callable[[Case], Answer]]] = {
    1: ("Title", "AI method named in the title", _by_authors("there is no manuscript; the report names its models")),
    2: ("Abstract", "Summary of design, methods and results", _said(PARTLY, "The first sentence of the report and what stands under it.")),
    3: (
        "Introduction",
        "Background, intended use and role",
        _said(PARTLY, "Intended use: research only, not a medical device. Clinical background: not reported."),
    ),
    4: ("Introduction", "Aims and hypotheses", _said(PARTLY, "To compare detectors with simple baselines. No hypothesis was registered.")),
    5: ("Study design", "Prospective or retrospective", _said(REPORTED, "Retrospective: stored images.")),
    6: ("Study design", "Goal of the study", _said(REPORTED, "Exploratory comparison of models; no claim for practice.")),
    7: (
        "Data",
        "Sources",
        lambda case: (PARTLY, f"Data set '{case.about['dataset']}'. Its source is documented with the data set, not here."),
    ),
    8: ("Data", "Inclusion and exclusion", _eligibility),
    9: ("Data", "Preprocessing", _preprocessing),
    10: ("Data", "Selection of subsets", _subsets),
    11: ("Data", "De-identification", _by_authors("how the images were de-identified before they came here")),
    12: ("Data", "Missing data", _missing),
    13: ("Data", "Image acquisition", _acquisition),
    14: ("Reference standard", "Definition", _reference),
    15: ("Reference standard", "Why this one", _by_authors("why this reference standard was chosen")),
    16: ("Reference standard", "Who annotated", _by_authors("annotators and their qualification, beyond item 14")),
    17: ("Reference standard", "Annotation of the test set", _by_authors("how the test images were annotated, beyond item 14")),
    18: ("Reference standard", "Variability of readers", _variability),
    19: ("Data partitions", "How cases were assigned", _partitions),
    20: ("Data partitions", "Level at which parts are disjoint", _disjoint),
    21: ("Testing data", "Intended sample size", _sample_size),
    22: ("Model", "Architecture", _models),
    23: ("Model", "Software and versions", _versions),
    24: ("Model", "Initialisation", _initial),
    25: ("Training", "Training approach", _training),
    26: ("Training", "Selection of the final model", _chosen),
    27: ("Training", "Ensembling", _said(NOT_APPLICABLE, "No ensemble.")),
    28: (
        "Evaluation",
        "Metrics",
        _said(
            REPORTED,
            "AUROC, average precision, sensitivity, specificity, precision, F1, predictive values; simple baselines in the same table.",
        ),
    ),
    29: ("Evaluation", "Significance and uncertainty", _statistics),
    30: ("Evaluation", "Robustness", _robust),
    31: ("Evaluation", "Explainability", _explained),
    32: ("Evaluation", "Internal testing", _internal),
    33: ("Evaluation", "External testing", _said(NOT_REPORTED, "Not reported: no image of another source was tested.")),
    34: ("Evaluation", "Trial registration", _said(NOT_APPLICABLE, "No clinical trial.")),
    35: ("Results: data", "Numbers included and excluded", _flow),
    36: ("Results: data", "Characteristics of each part", _who),
    37: ("Results: performance", "Performance and its uncertainty", _performance),
    38: ("Results: performance", "Diagnostic accuracy and its precision", _accuracy),
    39: ("Results: performance", "Failure analysis", _failures),
    40: ("Discussion", "Limitations", _said(REPORTED, "Section 'Limits' of the report.")),
    41: ("Discussion", "Implications for practice", _said(REPORTED, "None: research only, never for a decision about a patient.")),
    42: (
        "Other information",
        "Full protocol",
        _said(PARTLY, "Configuration, code and documentation of the project; no protocol was registered."),
    ),
    43: (
        "Other information",
        "Availability of software, model and data",
        _by_authors("where code, weights and data of this run can be had"),
    ),
    44: ("Other information", "Funding", _by_authors("funding and the role of funders")),
}
