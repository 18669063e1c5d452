"""Answers to the items of CLAIM, each from the documents of a run; what no document says is "not
reported".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from medgan.audits.cohort import NOT_REPORTED
from medgan.images.cropping import sentences
from medgan.report.text import capital, or_reason, readable, size_of, with_interval

REPORTED, PARTLY, NOT_APPLICABLE = "reported", "partly reported", "not applicable"
Answer = tuple[str, str]
"""Status, and a sentence."""


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


def said(status: str, text: str) -> Callable[[Case], Answer]:
    """The same answer for every run."""
    return lambda _: (status, text)


def by_authors(what: str) -> Callable[[Case], Answer]:
    """What only authors can say."""
    return said(NOT_REPORTED, f"{capital(NOT_REPORTED)}: {what}.")


def eligibility(case: Case) -> Answer:
    """Inclusion and exclusion."""
    reasons = {
        reason: count
        for step in ("excluded", "quarantined", "dropped")
        for reason, count in case.flow.get(step, {}).get("reasons", {}).items()
    }
    if not case.flow:
        return NOT_REPORTED, "Not reported: there is no cohort document."
    listed = (
        "; ".join(f"{reason}: {count:,}" for reason, count in reasons.items())
        or "no image was left out"
    )
    return (
        PARTLY,
        f"Images left out after listing: {listed}. Who entered the data set in the first place: not reported.",
    )


def preprocessing(case: Case) -> Answer:
    """Preprocessing."""
    text = f"Stored as 8-bit images of {case.about['image_size']} pixels, intensity '{case.about['intensity']}'."
    return (
        REPORTED,
        f"{text} How files are decoded and resampled stands in the configuration and the code of this version.",
    )


def subsets(case: Case) -> Answer:
    """Selection of subsets: which part of an image, or of a volume, is used."""
    cut = case.together.get("cut_profile")
    if not cut:
        return NOT_REPORTED, "Not reported: there is no profile of what was cut."
    slices = case.about.get("slices")
    chosen = (
        f" Of volumes: {slices}, by the rule reading.slices of the data set's configuration."
        if slices
        else ""
    )
    return (
        REPORTED,
        f"By rule, nothing by hand. {capital(sentences(cut).replace(' · ', '; '))}.{chosen}",
    )


def missing(case: Case) -> Answer:
    """Missing data."""
    parts = case.together.get("cohort", {}).get("demographics", {}).get("parts", {})
    missing = {
        name: told["share"]
        for name, told in parts.get("all", {}).get("missing", {}).items()
        if told["n"]
    }
    if not parts:
        return NOT_REPORTED, "Not reported: there is no cohort document."
    shares = ", ".join(f"{readable(name)} {share:.0%}" for name, share in missing.items()) or "none"
    return (
        REPORTED,
        f"Missing values (share of cases): {shares}. They are counted as unknown; nothing is imputed, and no detector sees them.",
    )


def acquisition(case: Case) -> Answer:
    """Image acquisition."""
    everyone = (
        case.together.get("cohort", {}).get("demographics", {}).get("parts", {}).get("all", {})
    )
    known = [
        name
        for name in ("view", "scanner", "sequence")
        if set(everyone.get(name, {})) - {"unknown"}
    ]
    if not known:
        return NOT_REPORTED, "Not reported: the data set records no view, scanner or sequence."
    return (
        PARTLY,
        f"Recorded with the images: {', '.join(known)} (Table 1). The protocol of acquisition: not reported.",
    )


def reference_standard(case: Case) -> Answer:
    """Definition."""
    standard = case.together.get("reference_standard", {}).get("reference_standard", NOT_REPORTED)
    return (
        (NOT_REPORTED, "Not reported: set evaluation.reference_standard.")
        if standard == NOT_REPORTED
        else (REPORTED, f"{standard}.")
    )


def variability(case: Case) -> Answer:
    """Variability of readers."""
    noise = (
        case.together.get("reference_standard", {})
        .get("label_noise", {})
        .get("reported", NOT_REPORTED)
    )
    if noise == NOT_REPORTED:
        return (
            NOT_REPORTED,
            "Not reported: neither the agreement of readers nor a share of wrong labels is given.",
        )
    return (
        PARTLY,
        f"Wrong labels: {noise['anomalous']:.1%} of anomalous, {noise['normal']:.1%} of normal ones. Agreement of readers: not reported.",
    )


def partitions(case: Case) -> Answer:
    """How cases were assigned."""
    audit, parts = case.together.get("leakage_audit", {}), case.flow.get("parts", {})
    if not parts:
        return NOT_REPORTED, "Not reported: there is no cohort document."
    sizes = ", ".join(f"{name} {told['images']:,}" for name, told in parts.items())
    fold = f" The test part is fold {case.about['fold']}." if case.about.get("fold") else ""
    return REPORTED, f"Split '{audit.get('split', 'unknown')}', images: {sizes}.{fold}"


def disjoint(case: Case) -> Answer:
    """Level at which parts are disjoint."""
    audit = case.together.get("leakage_audit")
    if not audit:
        return NOT_REPORTED, "Not reported: there is no leakage audit."
    statement = audit.get("near_duplicates", {}).get(
        "statement", "Near-duplicates were not looked for."
    )
    without = audit.get("images_without_patient", 0)
    level = (
        "Patients"
        if not without
        else f"Patients where they are known ({without:,} images have none)"
    )
    return (
        PARTLY if without else REPORTED
    ), f"{level} and equal pictures: {audit['verdict']}. {statement}"


def sample_size(case: Case) -> Answer:
    """Intended sample size."""
    expected = case.row.get("expected_half_width")
    if not expected or expected.get("value") is None:
        return NOT_REPORTED, "Not reported: no size was planned."
    return PARTLY, (
        f"No size was planned. With {expected['n_normal']} normal and {expected['n_anomalous']} anomalous {expected['unit']}s an AUROC "
        f"has an expected half-width of {expected['value']:.3f}."
    )


def versions(case: Case) -> Answer:
    """Software and versions."""
    return REPORTED, ", ".join(
        f"{name} {version}" for name, version in case.about["versions"].items()
    ) + "; all others in requirements.lock."


def models(case: Case) -> Answer:
    """Architecture."""
    return (
        REPORTED if case.cards else NOT_REPORTED
    ), f"In code and in the card of each model ({len(case.cards)} cards), with its configuration."


def initial(case: Case) -> Answer:
    """Initialisation."""
    return (
        REPORTED,
        f"Random, from seed {case.about['seed']}; pretrained weights are used only where a card names them.",
    )


def training(case: Case) -> Answer:
    """Training approach."""
    if not case.cards:
        return NOT_REPORTED, "Not reported: there is no model card."
    steps = ", ".join(
        f"{readable(name)} {card['planned_steps']:,} steps" for name, card in case.cards.items()
    )
    return (
        REPORTED,
        f"{steps}. Batches, augmentations and rates stand in the cards, curves in the report.",
    )


def chosen(case: Case) -> Answer:
    """Selection of the final model."""
    choices = {name: card["choice"] for name, card in case.cards.items()}
    used = sorted({row["labels_used"] for row in case.rows.values()})
    if not choices:
        return NOT_REPORTED, "Not reported: there is no model card."
    return (
        REPORTED,
        f"The card of each of {len(choices)} models says what chose its weights; never test images. Labels used: {', '.join(used)}.",
    )


def statistics(case: Case) -> Answer:
    """Significance and uncertainty."""
    tests = case.together.get("detector_tests", {})
    unit = case.row.get("interval_unit", "image")
    compared = (
        f"Paired tests against the best baseline, {tests['correction']} correction over {tests['n_tests']}."
        if tests
        else "No test was made."
    )
    return (
        REPORTED,
        f"95 % intervals from {case.about['n_resamples']:,} resamples of {unit}s. {compared} One training each: no spread between seeds.",
    )


def robust(case: Case) -> Answer:
    """Robustness."""
    run = [
        name for name, told in case.each.get("robustness", {}).items() if told.get("perturbations")
    ]
    if not run:
        return NOT_REPORTED, "Not reported: no detector was scored on perturbed images."
    return (
        REPORTED,
        f"{len(run)} of {len(case.rows)} detectors under noise, blur, brightness, contrast, JPEG and rotation.",
    )


def explained(case: Case) -> Answer:
    """Explainability."""
    claims = sorted({told["claim"] for told in case.each.get("localisation", {}).values()})
    checked = "; ".join(claims) if claims else "no pixel-level figures"
    return (
        REPORTED if any("mask" in claim and "no masks" not in claim for claim in claims) else PARTLY
    ), f"Heat maps of each detector: {checked}."


def internal(case: Case) -> Answer:
    """Evaluation on internal data."""
    if not case.rows:
        return NOT_REPORTED, "Not reported: no detector was evaluated."
    return PARTLY, (
        f"On held-out images of the same source: {size_of(case.row)}; validation figures stand beside those of test. "
        "Figures on training images: not reported."
    )


def external(case: Case) -> Answer:
    """Testing on external data: of the very weights that this run evaluated. What was tested of
    others here is said and does not count.
    """
    tests = case.together.get("tested_elsewhere", {}).get("tests", [])
    keys = {name: row.get("published_key") for name, row in case.rows.items()}
    own = [
        test
        for test in tests
        if test.get("published_key") is not None
        and keys.get(test["model"]) == test["published_key"]
    ]
    if not own:
        older = " Tests of older weights do not count." if tests else ""
        return (
            NOT_REPORTED,
            f"Not reported: no detector of this run was tested on images of another source.{older}{_guests(case)}",
        )
    tested = {test["model"] for test in own}
    listed = "; ".join(
        f"{readable(test['model'])} on '{test['tested_on']}' {or_reason(test['auroc'])}"
        for test in own
    )
    count = f"{len(tested)} of {len(case.rows)} detectors on other data sets, at the thresholds frozen here"
    told = f"{count}, AUROC: {listed}. Who was imaged there: the report of that data set."
    return (REPORTED if tested == set(keys) else PARTLY), told


def _guests(case: Case) -> str:
    """What other data sets' detectors did on these test images: a test of those, not of these."""
    rows = {
        name: row for name, row in case.each.get("external", {}).items() if row.get("trained_on")
    }
    if not rows:
        return ""
    listed = "; ".join(
        f"{readable(name)} of '{row['trained_on']}' {or_reason(row['auroc'])}"
        for name, row in rows.items()
    )
    return f" The other way round, detectors of other data sets were tested on these test images, AUROC: {listed}."


def flow(case: Case) -> Answer:
    """Numbers included and excluded."""
    if not case.flow:
        return NOT_REPORTED, "Not reported: there is no cohort document."
    return (
        REPORTED,
        f"{case.flow['listed']:,} images listed, {case.flow['kept']['images']:,} kept; flow chart in the report.",
    )


def who(case: Case) -> Answer:
    """Characteristics of each part."""
    everyone = (
        case.together.get("cohort", {}).get("demographics", {}).get("parts", {}).get("all", {})
    )
    known = [
        name
        for name in ("age", "sex", "site")
        if everyone.get(name) and set(everyone[name]) - {"unknown"}
    ]
    if not known:
        return NOT_REPORTED, "Not reported: the data set records no age, sex or site."
    return (
        PARTLY,
        f"Table 1 for each part: {', '.join(known)}. Clinical characteristics beyond the finding: not reported.",
    )


def performance(case: Case) -> Answer:
    """Performance and its uncertainty."""
    groups = sorted(
        {
            readable(column)
            for told in case.each.get("subgroups", {}).values()
            for column in told["groups"]
        }
    )
    shown = ", ".join(
        f"{readable(name)} {with_interval(row['auroc'])}" for name, row in case.rows.items()
    )
    if not shown:
        return NOT_REPORTED, "Not reported: no detector was evaluated."
    return (
        REPORTED,
        f"AUROC with 95 % intervals: {shown}. Groups: {', '.join(groups) or 'none recorded'}.",
    )


def accuracy(case: Case) -> Answer:
    """Diagnostic accuracy and its precision."""
    if not case.rows:
        return NOT_REPORTED, "Not reported: no detector was evaluated."
    return (
        REPORTED,
        "Sensitivity, specificity, precision and predictive values with 95 % intervals at thresholds that were frozen on validation.",
    )


def failures(case: Case) -> Answer:
    """Failure analysis."""
    drawn = case.each.get("random_errors", {})
    if not drawn:
        return NOT_REPORTED, "Not reported: no errors were drawn."
    return (
        PARTLY,
        f"Confusion matrices; random misses and false alarms of {len(drawn)} detectors with their maps. No reader has commented on them.",
    )


STATUSES = (REPORTED, PARTLY, NOT_REPORTED, NOT_APPLICABLE)
SOURCE = (
    "CLAIM 2024 update (Tejani et al., Radiology: Artificial Intelligence 6(4), e240300). "
    "Topics are in our own words; the paper has the full ones."
)


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
        about: dataset, versions, seed, n_resamples, image_size, intensity, fold, slices.

    Returns:
        {"checklist", "source", "counts": {status: items}, "items": [{"item", "section", "topic",
        "status", "answer"}]}.
    """
    case = Case(rows, together, each, cards, about)
    items = []
    for number, (section, topic, answer) in ITEMS.items():
        status, text = answer(case)
        items.append(
            {"item": number, "section": section, "topic": topic, "status": status, "answer": text}
        )
    counted = Counter(item["status"] for item in items)
    return {
        "checklist": "CLAIM 2024",
        "source": SOURCE,
        "counts": {status: counted[status] for status in STATUSES},
        "items": items,
    }


ITEMS: Mapping[int, tuple[str, str, Callable[[Case], Answer]]] = {
    1: (
        "Title or abstract",
        "Named as a study of AI, with its kind",
        by_authors("there is no manuscript"),
    ),
    2: (
        "Abstract",
        "Summary of design, methods, results and conclusions",
        said(PARTLY, "The first sentence of the report and what stands under it."),
    ),
    3: (
        "Introduction",
        "Scientific or clinical background, intended use and role",
        said(
            PARTLY,
            "Intended use: research only, not a medical device. Clinical background: not reported.",
        ),
    ),
    4: (
        "Introduction",
        "Aims, objectives and hypotheses",
        said(PARTLY, "To compare detectors with simple baselines. No hypothesis was registered."),
    ),
    5: (
        "Study design",
        "Prospective or retrospective",
        said(REPORTED, "Retrospective: stored images."),
    ),
    6: (
        "Study design",
        "Goal of the study",
        said(REPORTED, "Exploratory comparison of models; no claim for practice."),
    ),
    7: (
        "Data",
        "Sources",
        lambda case: (
            PARTLY,
            f"Data set '{case.about['dataset']}'. Its source is documented with the data set, not here.",
        ),
    ),
    8: ("Data", "Inclusion and exclusion", eligibility),
    9: ("Data", "Preprocessing", preprocessing),
    10: ("Data", "Selection of parts of the data: crops, slices", subsets),
    11: (
        "Data",
        "De-identification",
        by_authors("how the images were de-identified before they came here"),
    ),
    12: ("Data", "Missing data", missing),
    13: ("Data", "Image acquisition", acquisition),
    14: ("Reference standard", "How it was obtained", reference_standard),
    15: (
        "Reference standard",
        "Why this one",
        by_authors("why this reference standard was chosen"),
    ),
    16: (
        "Reference standard",
        "Source of the annotations",
        by_authors("annotators and their qualification, beyond item 14"),
    ),
    17: (
        "Reference standard",
        "Annotation of the test set",
        by_authors("how the test images were annotated, beyond item 14"),
    ),
    18: ("Reference standard", "Variability between and within readers", variability),
    19: ("Data partitions", "How cases were assigned", partitions),
    20: ("Data partitions", "Level at which parts are disjoint", disjoint),
    21: ("Testing data", "Intended sample size", sample_size),
    22: ("Model", "Architecture", models),
    23: ("Model", "Software and versions", versions),
    24: ("Model", "Initialisation", initial),
    25: ("Training", "Training approach", training),
    26: ("Training", "Selection of the final model", chosen),
    27: ("Training", "Ensembling", said(NOT_APPLICABLE, "No ensemble.")),
    28: (
        "Evaluation",
        "Metrics",
        said(
            PARTLY,
            "AUROC, average precision, sensitivity, specificity, precision, F1, predictive values at stated prevalences; simple baselines "
            "in the same table. A comparison with published figures: not reported.",
        ),
    ),
    29: ("Evaluation", "Significance and uncertainty", statistics),
    30: ("Evaluation", "Robustness or sensitivity analysis", robust),
    31: ("Evaluation", "Explainability or interpretability", explained),
    32: ("Evaluation", "Evaluation on internal data", internal),
    33: ("Evaluation", "Testing on external data", external),
    34: (
        "Evaluation",
        "Registration of a clinical trial",
        said(NOT_APPLICABLE, "No clinical trial."),
    ),
    35: ("Results: data", "Numbers included and excluded", flow),
    36: ("Results: data", "Characteristics of each part", who),
    37: ("Results: model performance", "Performance and its uncertainty", performance),
    38: ("Results: model performance", "Diagnostic accuracy and its precision", accuracy),
    39: ("Results: model performance", "Failure analysis of incorrect results", failures),
    40: ("Discussion", "Limitations", said(REPORTED, "Section 'Limits' of the report.")),
    41: (
        "Discussion",
        "Implications for practice",
        said(REPORTED, "None: research only, never for a decision about a patient."),
    ),
    42: (
        "Other information",
        "Full protocol or technical details",
        said(
            PARTLY,
            "Configuration, code and documentation of the project; no protocol was registered.",
        ),
    ),
    43: (
        "Other information",
        "Availability of software, model and data",
        by_authors("where code, weights and data of this run can be had"),
    ),
    44: ("Other information", "Funding", by_authors("funding and the role of funders")),
}
