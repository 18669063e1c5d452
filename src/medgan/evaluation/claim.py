"""CLAIM, the Checklist for Artificial Intelligence in Medical Imaging, 2024 update, answered from the documents of a run.

Numbers, order and sections of the items: Tejani et al., Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update,
Radiology: Artificial Intelligence 6(4), e240300, compared with the table and the definitions of its companion site (github.com/RSNA/CLAIM);
the topics are in short words of our own. An answer says what a document says. What only authors can say - funding, ethics, who
annotated - is "not reported".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from medgan.evaluation import claim_answers as answers
from medgan.evaluation.claim_answers import NOT_APPLICABLE, PARTLY, REPORTED, Answer, Case
from medgan.evaluation.cohort import NOT_REPORTED

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
        about: dataset, versions, seed, n_boot, image_size, intensity, fold, slices.

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


ITEMS: Mapping[int, tuple[str, str, Callable[[Case], Answer]]] = {
    1: (
        "Title or abstract",
        "Named as a study of AI, with its kind",
        answers.by_authors("there is no manuscript"),
    ),
    2: (
        "Abstract",
        "Summary of design, methods, results and conclusions",
        answers.said(PARTLY, "The first sentence of the report and what stands under it."),
    ),
    3: (
        "Introduction",
        "Scientific or clinical background, intended use and role",
        answers.said(PARTLY, "Intended use: research only, not a medical device. Clinical background: not reported."),
    ),
    4: (
        "Introduction",
        "Aims, objectives and hypotheses",
        answers.said(PARTLY, "To compare detectors with simple baselines. No hypothesis was registered."),
    ),
    5: ("Study design", "Prospective or retrospective", answers.said(REPORTED, "Retrospective: stored images.")),
    6: ("Study design", "Goal of the study", answers.said(REPORTED, "Exploratory comparison of models; no claim for practice.")),
    7: (
        "Data",
        "Sources",
        lambda case: (PARTLY, f"Data set '{case.about['dataset']}'. Its source is documented with the data set, not here."),
    ),
    8: ("Data", "Inclusion and exclusion", answers.eligibility),
    9: ("Data", "Preprocessing", answers.preprocessing),
    10: ("Data", "Selection of parts of the data: crops, slices", answers.subsets),
    11: ("Data", "De-identification", answers.by_authors("how the images were de-identified before they came here")),
    12: ("Data", "Missing data", answers.missing),
    13: ("Data", "Image acquisition", answers.acquisition),
    14: ("Reference standard", "How it was obtained", answers.reference_standard),
    15: ("Reference standard", "Why this one", answers.by_authors("why this reference standard was chosen")),
    16: ("Reference standard", "Source of the annotations", answers.by_authors("annotators and their qualification, beyond item 14")),
    17: ("Reference standard", "Annotation of the test set", answers.by_authors("how the test images were annotated, beyond item 14")),
    18: ("Reference standard", "Variability between and within readers", answers.variability),
    19: ("Data partitions", "How cases were assigned", answers.partitions),
    20: ("Data partitions", "Level at which parts are disjoint", answers.disjoint),
    21: ("Testing data", "Intended sample size", answers.sample_size),
    22: ("Model", "Architecture", answers.models),
    23: ("Model", "Software and versions", answers.versions),
    24: ("Model", "Initialisation", answers.initial),
    25: ("Training", "Training approach", answers.training),
    26: ("Training", "Selection of the final model", answers.chosen),
    27: ("Training", "Ensembling", answers.said(NOT_APPLICABLE, "No ensemble.")),
    28: (
        "Evaluation",
        "Metrics",
        answers.said(
            PARTLY,
            "AUROC, average precision, sensitivity, specificity, precision, F1, predictive values at stated prevalences; simple baselines "
            "in the same table. A comparison with published figures: not reported.",
        ),
    ),
    29: ("Evaluation", "Significance and uncertainty", answers.statistics),
    30: ("Evaluation", "Robustness or sensitivity analysis", answers.robust),
    31: ("Evaluation", "Explainability or interpretability", answers.explained),
    32: ("Evaluation", "Evaluation on internal data", answers.internal),
    33: ("Evaluation", "Testing on external data", answers.external),
    34: ("Evaluation", "Registration of a clinical trial", answers.said(NOT_APPLICABLE, "No clinical trial.")),
    35: ("Results: data", "Numbers included and excluded", answers.flow),
    36: ("Results: data", "Characteristics of each part", answers.who),
    37: ("Results: model performance", "Performance and its uncertainty", answers.performance),
    38: ("Results: model performance", "Diagnostic accuracy and its precision", answers.accuracy),
    39: ("Results: model performance", "Failure analysis of incorrect results", answers.failures),
    40: ("Discussion", "Limitations", answers.said(REPORTED, "Section 'Limits' of the report.")),
    41: ("Discussion", "Implications for practice", answers.said(REPORTED, "None: research only, never for a decision about a patient.")),
    42: (
        "Other information",
        "Full protocol or technical details",
        answers.said(PARTLY, "Configuration, code and documentation of the project; no protocol was registered."),
    ),
    43: (
        "Other information",
        "Availability of software, model and data",
        answers.by_authors("where code, weights and data of this run can be had"),
    ),
    44: ("Other information", "Funding", answers.by_authors("funding and the role of funders")),
}
