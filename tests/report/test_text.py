from medgan.evaluation.metrics import quality_metric
from medgan.evaluation.reading import read_results
from medgan.report.text import (
    best_first,
    direction,
    missing_reasons,
    number,
    or_reason,
    p_text,
    percent,
    signed_interval,
    with_interval,
)
from medgan.stats.bootstrap import Estimate
from tests.report.material import ROW, results

KNOWN = Estimate(0.5, 0.25, 0.75)
MISSING = Estimate(None, reason="the images are all of one class")


def test_the_best_comes_first_and_the_unknown_last():
    unknown = {"value": None, "reason": "not estimable"}
    document = results(
        flat={**ROW, "auroc": unknown}, dcgan=ROW, bigan={**ROW, "auroc": {"value": 0.9}}
    )
    assert best_first(read_results(document).detectors) == ["bigan", "dcgan", "flat"]


def test_names_keep_pairing_and_backbone():
    names = {
        "lpips_squeeze-caffe_nearest": "LPIPS (squeeze-caffe), nearest real image",
        "ms_gmsd_random": "MS-GMSD, random real image",
        "fid_domain": "Fréchet distance, domain features",
        "coverage_domain": "Coverage, domain features",
    }
    assert {key: quality_metric(key).name for key in names} == names
    directions = {"recall_domain": "higher", "kid_domain": "lower", "copied_share_domain": "lower"}
    assert {key: direction(quality_metric(key)) for key in directions} == directions


def test_numbers_have_their_intervals_their_signs_and_their_reasons():
    assert number(Estimate(-0.0001)) == "0.000"
    assert number(0.25, 2) == "0.25"
    assert with_interval(Estimate(0.5)) == "0.500"
    assert with_interval(KNOWN, 2) == "0.50 [0.25, 0.75]"
    assert signed_interval(KNOWN, 2) == "+0.50 [+0.25, +0.75]"
    assert (with_interval(MISSING), with_interval(None)) == ("–", "–")
    assert or_reason(MISSING) == "– the images are all of one class"
    assert or_reason(KNOWN) == with_interval(KNOWN)
    assert (percent(KNOWN), percent(MISSING)) == ("50 %", "an unknown share")
    assert missing_reasons([KNOWN, MISSING, MISSING, None]) == [MISSING.reason]


def test_p_values_are_never_zero():
    assert [p_text(value) for value in (None, 0.0001, 0.0294)] == ["–", "p < 0.001", "p = 0.029"]
