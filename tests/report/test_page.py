import io
import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from medgan.report.claim import checklist
from medgan.report.page import SECTIONS, compact
from tests.report.material import (
    BASELINE,
    EACH,
    FIGURE,
    FULL,
    ROW,
    SPLITS,
    TESTED,
    TOGETHER,
    area,
    comparisons_of,
    data_of,
    page_of,
    results,
    tell,
    verdict,
)


def png():
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), "teal").save(stream, "PNG")
    return stream.getvalue()


PNG = png()
KINDS = ("", "_closest", "_random")
EVERYTHING = [
    *("forest", "roc", "pr", "detector_tests", "shortcuts", "robustness", "flow", "categories"),
    *(
        f"{kind}_dcgan"
        for kind in (
            "heatmaps",
            "heatmaps_closest",
            "heatmaps_random",
            "confusion",
            "histogram",
            "subgroups",
            "components",
        )
    ),
    *("robustness_dcgan", "categories_dcgan", "projections_dcgan", "samples_dcgan", "curves_dcgan"),
]


def words(page):
    """The text of a page, as a reader sees it."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


def full_document():
    return results(nearest_neighbour=FULL, dcgan={**FULL, "auroc": area(0.6)})


def everything():
    given = {**TOGETHER, "each": EACH}
    return given | {"claim": checklist(data_of(full_document(), **given))}


class Checker(HTMLParser):
    """Every tag that is opened is closed, and nothing is fetched."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href", "srcset")]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def full_page():
    return page_of(full_document(), dict.fromkeys(EVERYTHING, PNG), **everything())


def test_the_page_is_whole_and_fetches_nothing(full_page):
    checker = Checker()
    checker.feed(full_page)
    assert checker.open == []
    assert len(
        [source for source in checker.sources if source.startswith("data:image/webp;base64,")]
    ) == len(EVERYTHING)
    assert all(source.startswith(("data:", "#")) for source in checker.sources)
    assert {source[1:] for source in checker.sources if source.startswith("#")} == set(checker.ids)
    assert len(set(checker.ids)) == len(checker.ids) == len(SECTIONS)
    assert not re.search(r"https?://|@import|url\(|<script|<link|<iframe", full_page)


def test_every_section_says_what_to_take_from_it(full_page):
    shown = words(full_page)
    for section in tell(full_document(), figures=EVERYTHING, **everything()).sections:
        assert section.takeaway.endswith((".", "!"))
        assert section.title in shown
        assert re.sub(r"\s+", " ", section.takeaway) in shown


def test_the_answer_comes_first_with_its_interval_its_number_and_one_picture(full_page):
    answer = re.search(r"<h1>(.*?)</h1>", full_page, re.S).group(1)
    for expected in (
        "Nearest neighbour ranks first",
        "0.851 [0.820, 0.880]",
        "160 images of 60 patients",
        "no detector is significantly better than its baseline",
    ):
        assert expected in answer
    assert full_page.index("<h1>") < full_page.index("<img") < full_page.index("<nav")
    assert full_page[: full_page.index("<nav")].count("<img") == 1


@pytest.mark.parametrize(
    "expected",
    [
        "0.851 [0.820, 0.880]",  # AUROC
        "0.912 [0.800, 0.950]",  # validation
        "0.417 [0.300, 0.500]",  # another frozen rule
        "0.403 [0.200, 0.600]",  # at 95 % specificity
        "91 [79, 96]",  # false alarms
        "0.03 [0.02, 0.04]",  # predictive value
        "0.877 [0.800, 0.900]",  # patients
        "0.149",  # expected half-width
        "0.586 0.573 0.579 60",  # classification report
        "-0.251 [-0.301, -0.201] p = 0.001 p = 0.002 worse than nearest neighbour",
        "phantom-00044 false negative viral M – – 0.21",
        "Not shown to be better than border alone.",
        "lateral view: 10",
        "Reference standard: two radiologists",
        "Pictures within 35 of 256 bits were compared.",
        "0.630 [0.580, 0.680]",  # without label noise
        "insufficient: 20 anomalous images, 50 are needed",
        "+0.200 [+0.150, +0.250] p = 0.030",
        "20 [15, 25] %, 5 to anomalous, 3 to normal",
        "not above location alone (0.857)",
        "44. Funding",
        "projections.html",
    ],
)
def test_the_figures_of_the_documents_are_on_the_page(full_page, expected):
    assert expected in words(full_page).replace(" ]", "]") or expected in words(
        full_page.replace('<span class="range">', "")
    )


def test_the_interval_of_a_flipped_share_is_in_percent(full_page):
    assert "0.2 [" not in words(full_page)


def test_the_best_detector_says_how_it_does_beside_its_baseline():
    rows = results(nearest_neighbour=ROW, dcgan={**ROW, "auroc": area(0.9)})
    better = comparisons_of(
        dcgan=verdict("better than nearest_neighbour", 0.049), nearest_neighbour=BASELINE
    )
    story = tell(rows, SPLITS, tests=better)
    assert (
        ", significantly above the nearest neighbour baseline (+0.049, p = 0.002)" in story.answer
    )
    assert not any("cost is not justified" in sentence for sentence in story.details)
    none = comparisons_of(
        dcgan=verdict("no difference from nearest_neighbour shown", 0.049, 0.2),
        nearest_neighbour=BASELINE,
    )
    story = tell(rows, SPLITS, tests=none)
    assert (
        ", not significantly above the nearest neighbour baseline (+0.049, p = 0.200)"
        in story.answer
    )
    assert any(
        "+0.049" in sentence and "p = 0.200" in sentence and "cost is not justified" in sentence
        for sentence in story.details
    )


def test_no_skill_is_not_called_skill():
    assert (
        "not significantly above chance"
        in tell(results(dcgan={**ROW, "auroc": area(0.52)}), SPLITS).answer
    )
    unknown = results(
        dcgan={**ROW, "auroc": {"value": None, "reason": "the images are all of one class"}}
    )
    assert (
        tell(unknown, SPLITS).answer
        == "No detector can be ranked: the images are all of one class."
    )


def test_one_kind_of_anomaly_is_a_reason_and_not_an_error():
    reason = "not estimable: there are fewer than two kinds of anomalies"
    alone = {"classes": ["viral"], "rows": {}, "supervised": {}, "reason": reason}
    alone |= {"labels_used": "training", "n_train_of_each": {}}
    page = page_of(results(dcgan=FULL), each={"categories": {"dcgan": alone}})
    assert "Not estimable: there are fewer than two kinds of anomalies." in words(page)


def test_volumes_say_how_they_are_scored_and_which_slices_stand_out():
    told = {
        "aggregate": "top10%",
        "chosen_by": "highest validation AUROC over volumes",
        "validation_auroc": {
            "mean": area(0.61),
            "top10%": area(0.72),
            "max": {"value": None, "reason": "why not"},
        },
        "n_volumes": 41,
        "n_anomalous": 19,
        "slice_count_auroc": area(0.53),
    }
    worst = [
        {"slice": "071", "position": 5, "of": 18, "score": 0.93, "image_id": "a/071"},
        {"slice": None, "position": 6, "of": 18, "score": 0.5, "image_id": "a/072"},
    ]
    volume = {
        "volume": "sub-07.nii.gz",
        "chosen_as": "false negative",
        "kind": "false negative",
        "category": "migraine",
        "score": 0.715,
        "label": 1,
        "n_slices": 18,
        "worst": worst,
    }
    document = {
        "aggregate": "top10%",
        "threshold": 0.8,
        "n_volumes": 37,
        "n_anomalous": 17,
        "volumes": [volume],
    }
    found = results(dcgan={**FULL, "volume_score": told, "scored_unit": "volume"})
    shown = words(
        page_of(found, {"heatmaps_dcgan": PNG}, each={"worst_slices": {"dcgan": document}})
    )
    for expected in (
        "highest validation AUROC over volumes top10% 0.610 [0.560, 0.660] 0.720 [0.670, 0.770] "
        "– why not 0.530 [0.480, 0.580]",
        "Validation: 41 volumes, 19 anomalous.",
        "sub-07.nii.gz false negative false negative migraine 0.715 071 (5 of 18): 0.93; (6 of 18): 0.5",
        "Of 37 test volumes (17 anomalous)",
        "decisions and metrics are per volume",
        "sees normal images only, top10% of slices, labels used: threshold",
    ):
        assert expected in shown
    films = words(
        page_of(
            results(dcgan=FULL),
            {"heatmaps_dcgan": PNG},
            each={"worst_slices": {"dcgan": {"volumes": [], "reason": "no"}}},
        )
    )
    assert not re.search("[Vv]olume|slices", films)


def test_what_was_not_run_says_how_to_run_it():
    page = words(page_of(results()))
    for pipeline in (
        "classifier_training",
        "synthesis",
        "gan_training",
        "preprocessing",
        "anomaly_evaluation",
    ):
        assert f"kedro run --pipeline {pipeline}" in page
    missing = (
        "Heat maps",
        "Audit of shortcuts",
        "Audit of subgroups",
        "Audit of robustness",
        "Score components",
        "Anomaly types",
    )
    missing += (
        "Projections",
        "Pixel-level metrics",
        "Cohort flow and Table 1",
        "Reference standard",
        "Leakage audit",
        "Checklist",
    )
    for what in missing:
        assert f"{what}: not run yet; run 'kedro run --pipeline" in page


def test_smoke_is_marked_and_nothing_is_ranked():
    cards = {
        name: {"planned_steps": 6, "published_step": 6, "choice": "last", "scale": "smoke"}
        for name in ("nearest_neighbour", "dcgan")
    }
    page = words(page_of(results(), cards=cards))
    assert "No detector is ranked: scale=smoke: figures mean nothing." in page
    assert "ranks first: AUROC" not in page
    assert "ranks first: AUROC" in words(page_of(results()))


def test_a_document_without_detectors_is_a_report_all_the_same():
    made = results()
    made["detectors"] = {}
    page = words(page_of(made))
    assert "No detector can be ranked: no detector was evaluated." in page
    assert "Detectors: not run yet" in page


@pytest.mark.parametrize(
    "expected", ["Not a medical device", "Limits", "frozen on validation", "exploratory"]
)
def test_the_limits_are_on_the_page(expected):
    assert expected in page_of(results())


def test_without_masks_nothing_is_claimed_about_places():
    claim = {"dcgan": {"claim": "not a localisation claim: no masks", "n_anomalous": 0, **TESTED}}
    assert "Not a localisation claim: no masks." in page_of(results(), each={"localisation": claim})


def test_one_fold_and_a_leak_are_warned_of():
    page = page_of(
        results(),
        fold="3 of 25",
        leakage={**TOGETHER["leakage"], "verdict": "leak"},
    )
    warned = re.search(r'class="warnings"(.*?)</div>', page, re.S).group(1)
    assert "fold 3 of 25" in warned
    assert "Leakage audit of the split: leak." in warned


def test_unknown_patients_are_said_where_the_intervals_are():
    row = {**ROW, "n_patients": None, "interval_unit": "image"}
    page = page_of(results(dcgan=row), splits=SPLITS.drop(columns="patients"))
    assert "likely too narrow" in page
    assert "patients are unknown" in page
    assert "patient interval" not in page


def test_names_cannot_inject_markup():
    made = results(**{"<script>alert(1)</script>": ROW})
    assert "<script" not in page_of(
        made, {"confusion_<script>alert(1)</script>": PNG, "curves_<script>": PNG}
    )


def test_arms_and_quality_are_shown_where_they_are():
    made = results()
    calibrated = {
        "brier": area(0.275),
        "brier_of_the_share": 0.247,
        "expected_calibration_error": area(0.168),
    }
    figures = dict.fromkeys(("accuracy", "precision", "recall", "f1", "auroc"), FIGURE)
    made["classifiers"] = {
        "gan_classical": {
            **ROW,
            **figures,
            **calibrated,
            "precision": {"value": None, "reason": "no image was called"},
        }
    }
    made["quality"] = {
        "acgan": {
            "overall": {"psnr_nearest": {"value": 20.1, "n": 600, "real_vs_real": 21.0}},
            "normal": {},
        }
    }
    page = words(page_of(made, {"confusion_gan_classical": PNG, "samples_acgan": PNG}))
    assert "GAN + classical" in page
    assert "20.1 (21.0)" in page
    assert "Synthetic images of ACGAN, not selected." in page
    assert "0.275 [0.225, 0.325] 0.247 0.168 [0.118, 0.218]" in page
    assert "no image was called" in page


def test_generators_are_compared_on_their_common_class_and_shown_alone_where_they_draw_several():
    def figures(value):
        return {
            "psnr_random": {"value": value, "n": 100, "real_vs_real": 20.7},
            "lpips_alex_random": {"value": None, "reason": "no weights"},
        }

    made = results()
    made["quality"] = {
        "acgan": {"overall": figures(19.0), "normal": figures(20.0), "viral": figures(18.0)},
        "dcgan": {"overall": figures(20.5), "normal": figures(20.5)},
    }
    together, folded, _ = section(made, "images").blocks
    assert together.title == "All generators, normal images"
    assert list(together.headings) == ["Metric", "ACGAN", "DCGAN"]
    assert list(together.rows[0]) == [
        "PSNR, random real image\nhigher is better, 100 images",
        "20.0 (20.7)",
        "20.5 (20.7)",
    ]
    assert together.rows[1][0] == "LPIPS (alex), random real image\nlower is better"
    assert together.stacked
    assert together.note.count("no weights") == 1
    assert (folded.title, list(folded.blocks[0].headings)[1:4]) == (
        "ACGAN, by class",
        ["overall", "normal", "viral"],
    )
    made["quality"]["acgan"]["overall"]["psnr_random"]["n"] = 200
    by_class = section(made, "images").blocks[1].blocks[0]
    assert by_class.rows[0][0].endswith("higher is better, 200 / 100 / 100 images")
    made["quality"].pop("dcgan")
    assert [table.title for table in section(made, "images").blocks[:-1]] == ["ACGAN"]


def section(document, key):
    return next(section for section in tell(document).sections if section.key == key)


def png_of(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def opened(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_a_few_colored_pixels_keep_their_colors_among_many_greys():
    rng = np.random.default_rng(0)
    pixels = np.repeat(rng.integers(0, 256, (300, 300, 1), dtype=np.uint8), 3, axis=2)
    pixels[:20, :200] = np.stack(
        [np.arange(200), np.full(200, 30), 255 - np.arange(200)], axis=1
    ).astype(np.uint8)
    made = compact(png_of(pixels))
    assert len(made) < len(png_of(pixels))
    assert np.abs(opened(made) - pixels)[:20, :200].max() <= 24


def test_grays_stay_gray_beside_many_colors():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)
    pixels[:30] = np.arange(256).repeat(8)[:1800].reshape(30, 60, 1)
    made = opened(compact(png_of(pixels)))[:30]
    assert np.ptp(made, axis=2).max() == 0
    assert np.abs(made - pixels[:30]).max() <= 3


def test_a_wide_picture_becomes_narrower_and_keeps_its_shape():
    made = compact(
        png_of(np.random.default_rng(0).integers(0, 256, (100, 400, 3), dtype=np.uint8)), width=200
    )
    assert opened(made).shape == (50, 200, 3)


@pytest.mark.parametrize("side", [1, 8])
def test_a_picture_that_is_small_already_stays_as_it_is(side):
    made = png_of(np.zeros((side, side), dtype=np.uint8))
    assert len(compact(made)) <= len(made)


def test_only_the_best_detector_has_all_its_heat_maps_on_the_page():
    names = [f"heatmaps{kind}_{name}" for name in ("nearest_neighbour", "dcgan") for kind in KINDS]
    page = page_of(full_document(), dict.fromkeys(names, PNG), **everything())
    assert page.count('alt="Heat maps of nearest neighbour"') == 3
    assert page.count('alt="Heat maps of DCGAN"') == 1
    assert "close and random decisions: MODEL/illustrations, in the folder of reports." in words(
        page
    )


def test_groups_that_cannot_be_compared_are_not_drawn():
    groups = EACH["subgroups"]["dcgan"]
    each = {**EACH, "subgroups": {"dcgan": {**groups, "gaps": {}}}}
    figures = {"subgroups_dcgan": PNG}
    assert "Metrics of DCGAN in groups" in page_of(full_document(), figures, **everything())
    told = page_of(full_document(), figures, **{**everything(), "each": each})
    assert "Metrics of DCGAN in groups" not in told
