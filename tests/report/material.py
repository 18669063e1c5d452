"""A results document and the documents beside it, small and of the forms that the pipeline
writes, and the data of a report that is read from them.
"""

from types import SimpleNamespace

import pandas as pd

from medgan.audits.data_results import CohortResult, ReferenceStandard
from medgan.audits.results import ShortcutsResult
from medgan.evaluation.details import DetectorTests, ExternalTests
from medgan.evaluation.reading import read_results
from medgan.evaluation.results import Results
from medgan.files.documents import from_json, to_json
from medgan.images.cropping import CutProfile
from medgan.images.leakage import LeakageAudit
from medgan.report.data import Card, Checklist, ModelDocuments, ReportData
from medgan.report.page import render_report, sections
from medgan.report.sections import verdict as headlines

FIGURE = {"value": 0.851, "low": 0.82, "high": 0.88}
DECISION = dict.fromkeys(("sensitivity", "specificity", "precision", "f1", "accuracy"), FIGURE)
ROW = {
    **dict.fromkeys(
        ("auroc", "average_precision", "sensitivity", "specificity", "precision", "f1"), FIGURE
    ),
    "n_images": 160,
    "n_patients": 60,
    "n_anomalous": 100,
    "interval_unit": "patient",
    "n_seeds": 1,
    "seeds": [0],
    "threshold": {"rule": "youden", "value": 0.3},
    "sees_mix": False,
    "labels_used": "threshold",
    "warnings": [],
    "per_category": {},
}
FULL = {
    **ROW,
    "validation_auroc": {"value": 0.912, "low": 0.8, "high": 0.95},
    "decisions": {
        "youden": {
            "threshold": {"rule": "youden", "value": 0.3},
            "labels_used": "threshold",
            **DECISION,
        },
        "fpr=0.05": {
            **DECISION,
            "threshold": {"rule": "fpr=0.05", "value": 0.4},
            "labels_used": "none",
            "sensitivity": {"value": 0.417, "low": 0.3, "high": 0.5},
        },
    },
    "at_95_specificity": {
        "threshold": {"rule": "fpr=0.05", "value": 0.4},
        "sensitivity": {"value": 0.403, "low": 0.2, "high": 0.6},
        "specificity": FIGURE,
    },
    "at_95_sensitivity": {
        "threshold": {"rule": "sensitivity=0.95", "value": 0.2},
        "false_alarms_per_100_normals": {"value": 91.0, "low": 79.0, "high": 96.0},
        "sensitivity": FIGURE,
        "specificity": FIGURE,
    },
    "read_from_test_roc": {"sensitivity_at_95_specificity": FIGURE, "remark": "optimistic"},
    "predictive_values": {
        "0.01": {
            "ppv": {"value": 0.03, "low": 0.02, "high": 0.04},
            "npv": {"value": 0.99, "low": 0.98, "high": 1.0},
        }
    },
    "patient_level": {
        "patient_score": "mean",
        "n_patients": 60,
        "n_anomalous": 30,
        **DECISION,
        "auroc": {"value": 0.877, "low": 0.8, "high": 0.9},
    },
    "expected_half_width": {"value": 0.149, "n_normal": 33, "n_anomalous": 27, "unit": "patient"},
    "report": {
        "normal": {"precision": 0.586, "recall": 0.573, "f1-score": 0.579, "support": 60.0},
        "accuracy": 0.54,
    },
}
SPLITS = pd.DataFrame(
    {
        "category": ["normal", "viral"],
        "split": ["test", "test"],
        "images": [60, 100],
        "patients": [20, 40],
    }
)


def area(value):
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def results(**detectors):
    made = to_json(Results(dataset="phantoms", provenance={"seed": 0}))
    made["detectors"] = detectors or {
        "nearest_neighbour": ROW,
        "dcgan": {**ROW, "auroc": area(0.6), "search_steps": 50},
    }
    return made


TESTED = {
    "n_images": 50,
    "scored_unit": "image",
    "n_patients": 30,
    "interval_unit": "patient",
}


def verdict(words, gap, p_holm=0.002, against="nearest_neighbour"):
    return {
        "family": "normals only",
        "against": against,
        "test": "paired patient bootstrap",
        "difference": area(gap),
        "p_value": 0.001,
        "p_holm": p_holm,
        "verdict": words,
    }


BASELINE = {
    "family": "normals only",
    "against": "nearest_neighbour",
    "difference": {"value": None, "reason": "it is the baseline"},
    "p_value": None,
    "p_holm": None,
    "verdict": "no test: it is the baseline",
}


def comparisons_of(**tests):
    chosen = {"name": "nearest_neighbour", "chosen_by": "highest validation AUROC"}
    baselines = {"normals only": {**chosen, "validation_auroc": {"nearest_neighbour": 0.9}}}
    return {
        **TESTED,
        "n_resamples": 100,
        "tests": tests,
        "baselines": baselines,
        "n_tests": len(tests) - 1,
        "correction": "Holm",
        "alpha": 0.05,
    }


NOTHING = {"value": None, "reason": "no site has both classes"}
BEST = {
    "shortcut": "border",
    "auroc": area(0.55),
    "difference": area(0.05),
    "no_better": True,
    "above_chance": True,
}
SHORTCUTS = {
    "tested": TESTED,
    "shortcuts": {
        kind: {"border": area(0.55), "view": {"value": None, "reason": "the same in all images"}}
        for kind in ("one_class", "probe")
    },
    "detectors": {
        "dcgan": {
            "sentence": "Not shown to be better than border alone.",
            "flags": ["may detect the source"],
            "auroc": area(0.6),
            "compared_with": "one_class",
            "against": {kind: {"any": BEST} for kind in ("one_class", "probe")},
            "within_sites": {"sites": {}, "pooled": NOTHING, "difference": NOTHING},
        }
    },
}
NUMBERS = {
    "images": 160,
    "patients": 60,
    "normal": {"images": 60, "patients": 20},
    "anomalous": {"images": 100, "patients": 40},
}
COUNT = {"n": 160, "share": 1.0}
PART = {
    "images": 160,
    "patients": 60,
    "age": None,
    "images_per_patient": None,
    "categories": {"normal": {"n": 60, "share": 0.375}},
    "missing": {"site": COUNT},
    **{name: {"unknown": COUNT} for name in ("age_band", "site", "scanner", "sequence", "view")},
    "sex": {"F": {"n": 30, "share": 0.5}, "M": {"n": 30, "share": 0.5}},
}
LEFT_OUT = {"images": 0, "reasons": {}}
COHORT = {
    "flow": {
        "listed": 170,
        "excluded": {"images": 10, "reasons": {"lateral view": 10}},
        "quarantined": LEFT_OUT,
        "dropped": LEFT_OUT,
        "kept": {"images": 160, "patients": 60},
        "usable": 160,
        "parts": {"test": NUMBERS},
    },
    "demographics": {"unit": "patient", "parts": {"test": PART, "all": PART}},
    "leakage": {"verdict": "no leak", "sentence": "Leakage audit of the split: no leak."},
}
LEAKAGE = {
    "verdict": "no leak",
    "split": "by_patient",
    "shared": {"patients": {"count": 0, "images": 0, "examples": []}},
    "synthetic": {"count": 0, "images": 0, "examples": []},
    "near_duplicates": {"pairs": 0, "statement": "Pictures within 35 of 256 bits were compared."},
    "images_without_patient": 0,
    "images": {"test": 160},
    "duplicates": {"groups": 0, "surplus_copies": 0, "crossing_patients": []},
    "official_folders": None,
    "on_leak": "fail",
    "dropped": 0,
    "validation": "by_patient",
}
REFERENCE = {
    "reference_standard": "two radiologists",
    "label_noise": {
        "reported": {"anomalous": 0.05, "normal": 0.02},
        "ceiling": 0.965,
        "auroc_if_labels_were_right": {"dcgan": area(0.63)},
        "assumption": "A bound for labels that are wrong at random.",
    },
}
TOGETHER = {
    "tests": comparisons_of(
        dcgan=verdict("worse than nearest_neighbour", -0.251), nearest_neighbour=BASELINE
    ),
    "shortcuts": SHORTCUTS,
    "cohort": COHORT,
    "leakage": LEAKAGE,
    "reference": REFERENCE,
}
SMALL = {"value": None, "reason": "insufficient: 20 anomalous images, 50 are needed"}
EACH = {
    "components": {
        "dcgan": {
            "own": "combined",
            "weights": {"feature": 0.1},
            "rows": {"combined": ROW, "feature": ROW},
        }
    },
    "localisation": {
        "dcgan": {
            "claim": "100 of 100 anomalous test images have a mask",
            "share_of_anomalous_pixels": 0.04,
            "chance": {"pixel_auroc": 0.5},
            "n_anomalous": 100,
            **TESTED,
            "location_alone": {"pixel_auroc": area(0.857)},
            **{
                key: area(0.7)
                for key in ("pixel_auroc", "pixel_average_precision", "aupro_30", "dice")
            },
        }
    },
    "subgroups": {
        "dcgan": {
            "sentence": "No two groups are large enough to be compared.",
            "groups": {
                "sex": {
                    "F": {
                        "n_images": 80,
                        "n_anomalous": 20,
                        "n_normal": 60,
                        "n_patients": 30,
                        "training_images": 90,
                        "sensitivity": SMALL,
                        "specificity": area(0.6),
                        "auroc": SMALL,
                    }
                }
            },
            "gaps": {
                "sex": {
                    "specificity": {**area(0.2), "between": ["F", "M"], "p": 0.03, "p_holm": 0.03}
                }
            },
            "not_measured": {"view": "the same for all test images"},
            "minimum": 50,
            "shifts": {},
            "leakage": {"verdict": "no leak", "sentence": ""},
            "threshold": 0.3,
            "tested": TESTED,
        }
    },
    "robustness": {
        "dcgan": {
            "sentence": "AUROC falls most under noise 16.",
            "sample": TESTED,
            "clean": area(0.6),
            "perturbations": {
                "noise": {
                    "unit": "grey levels",
                    "severities": {
                        "16": {
                            "severity": 16.0,
                            "auroc": area(0.5),
                            "change": area(-0.1),
                            "flipped": area(0.2),
                            "n_to_anomalous": 5,
                            "n_to_normal": 3,
                        }
                    },
                }
            },
        }
    },
    "random_errors": {
        "dcgan": {
            "threshold": 0.3,
            "seed": 0,
            "false_negative": {
                "n": 7,
                "shown": [
                    {
                        "image_id": "phantom-00044",
                        "category": "viral",
                        "score": 0.21,
                        "sex": "M",
                        "age_band": None,
                        "site": None,
                    }
                ],
            },
            "false_positive": {"n": 3, "shown": []},
        }
    },
    "categories": {
        "dcgan": {
            "classes": ["bacterial", "viral"],
            "labels_used": "training",
            "n_train_of_each": {"bacterial": 40, "viral": 50},
            "rows": {"features": {"auroc": area(0.71), "balanced_accuracy": area(0.66)}},
            "supervised": {"real": {"auroc": area(0.61), "balanced_accuracy": area(0.56)}},
        }
    },
    "projections": {
        "dcgan": {
            "n_images": 300,
            "n_features": 16,
            "methods": {
                "pca": {"trustworthiness": 0.885},
                "umap": {"value": None, "reason": "UMAP not run"},
            },
        }
    },
}


ONE = {
    "tests": DetectorTests,
    "shortcuts": ShortcutsResult,
    "cohort": CohortResult,
    "reference": ReferenceStandard,
    "leakage": LeakageAudit,
    "cut": CutProfile,
    "elsewhere": ExternalTests,
    "claim": Checklist,
}
"""Fields of `ReportData` that are one document, and their types."""


def data_of(document, splits=SPLITS, each=None, cards=None, **others):
    """The data of a report: `each` is kind to detector to document, as EACH."""
    of_models = {}
    for kind, documents in (each or {}).items():
        for name, found in documents.items():
            of_models.setdefault(name, {})[kind] = found
    read = {
        name: from_json(ONE[name], found) if name in ONE and isinstance(found, dict) else found
        for name, found in others.items()
    }
    return ReportData(
        results=read_results(document),
        splits=splits,
        models={name: from_json(ModelDocuments, found) for name, found in of_models.items()},
        cards={name: from_json(Card, card) for name, card in (cards or {}).items()},
        **read,
    )


def tell(document, splits=SPLITS, **others):
    """What a report says, as text and sections."""
    data = data_of(document, splits, **others)
    return SimpleNamespace(
        answer=headlines.headline(data),
        details=list(headlines.details(data)),
        warnings=headlines.warnings(data),
        sections=sections(data),
    )


def page_of(document, figures=None, **others):
    """The page of a report."""
    return render_report(data_of(document, **others), figures or {})
