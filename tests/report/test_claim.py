from medgan.report.claim import ANSWERS, STATUSES, checklist, template
from medgan.report.data import RunFacts
from tests.report.material import EACH, FULL, TESTED, TOGETHER, data_of, results

FACTS = RunFacts(
    versions={"medgan": "0"}, n_resamples=100, image_size="32 x 32", intensity="standardised"
)
SECTIONS = {
    "Title or abstract": [1],
    "Abstract": [2],
    "Introduction": range(3, 5),
    "Study design": range(5, 7),
    "Data": range(7, 14),
    "Reference standard": range(14, 19),
    "Data partitions": range(19, 21),
    "Testing data": [21],
    "Model": range(22, 25),
    "Training": range(25, 28),
    "Evaluation": range(28, 35),
    "Results: data": range(35, 37),
    "Results: model performance": range(37, 40),
    "Discussion": range(40, 42),
    "Other information": range(42, 45),
}
"""The paper's table: which items stand under which heading."""
ONES = {"min": 1.0, "median": 1.0, "max": 1.0}
CUT = {
    "stored_size": 32,
    "crop": None,
    "width_by_height": ONES,
    "sizes": 1,
    "removed": {
        "height": {"min": 0.1, "median": 0.1, "max": 0.2},
        **{side: {"min": 0.0, "median": 0.0, "max": 0.0} for side in ("width", "area")},
    },
    "squeezed": {"share_of_images": 0.0, "long_by_short_side": ONES},
    "enlarged": {"share_of_images": 0.0, "shortest_kept_side": 64},
    "bars": None,
}
CARD = {"planned_steps": 80, "published_step": 80, "choice": "weights of the highest AUCp"}


def answers(document):
    return {item.item: (item.status, item.answer) for item in document.items}


def filled(rows=None, **changes):
    given = {"each": EACH, "cards": {"dcgan": CARD}, "facts": FACTS, **TOGETHER} | changes
    document = results(dcgan=FULL) | ({} if rows is None else {"detectors": rows})
    return checklist(data_of(document, **given))


def test_all_44_items_are_answered_and_counted():
    document = filled()
    assert list(answers(document)) == list(range(1, 45))
    assert set(document.counts) == set(STATUSES)
    assert sum(document.counts.values()) == 44
    assert all(item.answer.endswith(".") and item.topic for item in document.items)


def test_every_function_answers_an_item_and_every_item_has_a_text():
    items = template()["items"]
    assert {item["answer"] for item in items if "answer" in item} == set(ANSWERS)
    assert all("text" in item or "missing" in item for item in items)


def test_items_stand_under_the_headings_of_the_paper():
    sections = {item.item: item.section for item in filled().items}
    assert sections == {
        number: section for section, numbers in SECTIONS.items() for number in numbers
    }


def test_answers_are_those_of_the_documents():
    told = answers(filled())
    assert told[14] == ("reported", "two radiologists.")
    assert "lateral view: 10" in told[8][1]
    assert "by_patient" in told[19][1]
    assert "Pictures within 35 of 256 bits were compared." in told[20][1]
    assert "0.149" in told[21][1]
    assert "DCGAN 80 steps" in told[25][1]
    assert "170 images listed, 160 kept" in told[35][1]
    assert "DCGAN 0.851 [0.820, 0.880]" in told[37][1]


def test_what_no_document_says_is_not_reported():
    told = answers(filled(rows={}, each={}, cards={}, **dict.fromkeys(TOGETHER)))
    for item in (
        8,
        10,
        11,
        12,
        13,
        14,
        15,
        16,
        17,
        18,
        19,
        20,
        21,
        22,
        25,
        26,
        30,
        32,
        33,
        35,
        36,
        37,
        38,
        39,
        43,
        44,
    ):
        assert told[item][0] == "not reported", item


def test_a_fold_and_images_without_patients_are_said():
    leakage = {**TOGETHER["leakage"], "images_without_patient": 12}
    told = answers(filled(fold="3 of 25", leakage=leakage))
    assert "fold 3 of 25" in told[19][1]
    assert told[20][0] == "partly reported"
    assert "12 images have no patient id" in told[20][1]


def test_crops_and_slices_are_said():
    facts = RunFacts(slices="120 slices of 30 volumes")
    status, text = answers(filled(cut=CUT, facts=facts))[10]
    assert status == "reported"
    assert "Cut off: 10 to 20 % of the height;" in text
    assert "120 slices of 30 volumes" in text


def with_a_test(**changes):
    test = {
        "model": "dcgan",
        "tested_on": "elsewhere",
        "published_key": "k1",
        "claim": "tested on images of another dataset",
        "trained_on": "phantoms",
        **TESTED,
        "auroc": {"value": 0.7, "low": 0.6, "high": 0.8},
    } | changes
    return {"trained_on": "phantoms", "tests": [test]}


def test_external_tests_of_the_weights_of_the_run_are_reported():
    row = {**FULL, "published_key": "k1"}
    status, text = answers(filled(rows={"dcgan": row}, elsewhere=with_a_test()))[33]
    assert status == "reported"
    assert "DCGAN on 'elsewhere' 0.700 [0.600, 0.800]" in text
    two = {"dcgan": row, "bigan": {**FULL, "published_key": "k2"}}
    assert answers(filled(rows=two, elsewhere=with_a_test()))[33][0] == "partly reported"


def test_external_tests_of_older_weights_or_of_other_models_are_no_external_test():
    row = {**FULL, "published_key": "k2"}
    guests = {
        "dcgan": {"claim": "", "trained_on": "elsewhere", "auroc": {"value": 0.66}},
        "bigan": {"claim": "", "trained_on": None},
    }
    status, text = answers(
        filled(rows={"dcgan": row}, elsewhere=with_a_test(), each={**EACH, "external": guests})
    )[33]
    assert status == "not reported"
    assert "older weights" in text
    assert "DCGAN of 'elsewhere' 0.660" in text
    assert "BiGAN" not in text
    assert answers(filled(elsewhere=with_a_test(published_key=None)))[33][0] == "not reported"
