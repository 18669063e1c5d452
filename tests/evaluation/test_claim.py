from medgan.evaluation.claim import ITEMS, STATUSES, checklist
from tests.evaluation.story_material import EACH, FULL, TOGETHER

ABOUT = {"dataset": "phantoms", "versions": {"medgan": "0"}, "seed": 0, "n_boot": 100, "image_size": "32 x 32", "intensity": "standardised"}
CARD = {"planned_steps": 80, "choice": "weights of the highest AUCp"}


def answers(document):
    return {item["item"]: (item["status"], item["answer"]) for item in document["items"]}


def filled(**changes):
    given = {"rows": {"dcgan": FULL}, "together": TOGETHER, "each": EACH, "cards": {"dcgan": CARD}, "about": ABOUT} | changes
    return checklist(**given)


def test_all_44_items_are_answered_and_counted():
    document = filled()
    assert list(answers(document)) == list(range(1, 45)) == list(ITEMS)
    assert set(document["counts"]) == set(STATUSES)
    assert sum(document["counts"].values()) == 44
    assert all(item["answer"].endswith(".") and item["topic"] for item in document["items"])


def test_answers_are_those_of_the_documents():
    told = answers(filled())
    assert told[14] == ("reported", "two radiologists.")
    assert "lateral view: 10" in told[8][1]
    assert "by_patient" in told[19][1]
    assert "Pictures within 35 of 256 bits were compared." in told[20][1]
    assert "0.149" in told[21][1]
    assert "dcgan 80 steps" in told[25][1]
    assert "170 images listed, 160 kept" in told[35][1]
    assert "dcgan 0.851 [0.820, 0.880]" in told[37][1]


def test_what_no_document_says_is_not_reported():
    told = answers(filled(rows={}, together={}, each={}, cards={}))
    for item in (8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 25, 26, 30, 32, 33, 35, 36, 37, 38, 39, 43, 44):
        assert told[item][0] == "not reported", ITEMS[item][1]


def test_a_fold_and_images_without_patients_are_said():
    leakage = {**TOGETHER["leakage_audit"], "images_without_patient": 12}
    told = answers(filled(about={**ABOUT, "fold": "3 of 25"}, together={**TOGETHER, "leakage_audit": leakage}))
    assert "fold 3 of 25" in told[19][1]
    assert told[20][0] == "partly reported"
    assert "12 images have none" in told[20][1]
