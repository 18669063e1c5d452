"""The card of a published model as a page."""

from dataclasses import replace

from medgan.datasets.model_page import page_of
from medgan.models import PublishedModel
from tests.models.tiny import SPEC, tiny

CARD = {
    "name": "autoencoder",
    "seed": 0,
    "training_images": 309,
    "augmentations": [],
    "privacy": {"epsilon": 3.25, "delta": 1e-5},
    "choice": "averaged weights after the last step",
    "figures": {"aucp": 0.6153846153846153, "val_auroc": None},
    "looks": [{"step": 100, "aucp": 0.5}, {"step": 200, "aucp": 0.6153846153846153}],
    "splits": {"test": {"normal": 89}, "train": {"normal": 309, "viral": 126}},
    "budget": {"steps": {"reconstruction": 200}, "compile": False, "privacy": None},
    "intended_use": "Research only.",
    "limits": ["It knows images like its training images."],
}
PAGE = """# Autoencoder

Research only.

## Validation of the published step

| AUCp | Validation AUROC |
| --- | --- |
| 0.615 | none |

## Training

| Entry | Value |
| --- | --- |
| seed | 0 |
| training images | 309 |
| augmentations | none |
| privacy | epsilon: 3.25; delta: 1e-05 |
| choice | averaged weights after the last step |

## Images of the splits

| Split | normal | viral |
| --- | --- | --- |
| test | 89 | 0 |
| train | 309 | 126 |

## Validations during training

| Step | AUCp |
| --- | --- |
| 100 | 0.500 |
| 200 | 0.615 |

## Limits

- It knows images like its training images.

## Budget

| Entry | Value |
| --- | --- |
| `steps.reconstruction` | 200 |
| `compile` | no |
| `privacy` | none |
"""


def published(**card: object) -> PublishedModel:
    model = tiny("autoencoder")
    return PublishedModel("autoencoder", {"latent_dim": 8}, SPEC, model.state_dict(), card)


def test_a_page_has_all_of_a_card_in_numbers_that_can_be_read() -> None:
    page, _, configuration = page_of(published(**CARD)).partition("\n## Configuration\n")
    assert page == PAGE
    assert "| `latent_dim` | 8 |" in configuration
    assert f"| `image` | {' x '.join(map(str, SPEC.shape))} |" in configuration


def test_a_model_without_validation_has_no_table_of_it() -> None:
    page = page_of(published(name="autoencoder", figures={}, looks=[{"step": 0}]))
    assert "Validation" not in page


def test_a_classifier_is_called_by_what_it_was_trained_on() -> None:
    arm = replace(published(name="gan_classical", title="GAN + classical"), name="classifier")
    learner = replace(published(name="acgan_learner"), name="classifier")
    assert page_of(arm).startswith("# Classifier: GAN + classical\n")
    assert page_of(learner).startswith("# Classifier: acgan learner\n")
