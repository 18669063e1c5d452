import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medgan.evaluation.usefulness import Classified, not_useful, usefulness


def classified(n, signal, seed, classes=2):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    logits = rng.normal(size=(n, classes)) + signal * np.eye(classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Classified(probabilities, labels, np.arange(n), 100 + seed, seed != 1)


@pytest.mark.parametrize("classes", [2, 3])
def test_both_tests_stand_beside_real_on_real(classes):
    tstr, trts, trtr = (
        classified(n, signal, seed, classes)
        for seed, (n, signal) in enumerate([(90, 0.5), (60, 2.0), (90, 1.5)])
    )
    found = usefulness(tstr, trts, trtr)

    def area(one):
        scores = one.probabilities[:, 1] if classes == 2 else one.probabilities
        return roc_auc_score(one.labels, scores, multi_class="ovr")

    for key, tested in (("tstr_auroc", tstr), ("trts_auroc", trts)):
        metric = found[key]
        assert metric.value == pytest.approx(area(tested))
        assert metric.real_vs_real == pytest.approx(area(trtr))
        assert metric.low < metric.value < metric.high
        assert (metric.n, metric.n_training) == (len(tested.labels), tested.n_training)
    assert (found["tstr_auroc"].resampled, found["trts_auroc"].resampled) == ("patients", "images")


def test_a_generator_of_one_class_says_why():
    found = not_useful("the generator draws one class")
    assert {one.reason for one in found.values()} == {"the generator draws one class"}
    assert set(found) == {"tstr_auroc", "trts_auroc"}
