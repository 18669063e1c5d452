"""Progress of a training on the terminal: a bar with losses, and a warning of mode collapse."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from medgan.training.collapse import collapse_warning

if TYPE_CHECKING:
    from tqdm import tqdm

    from medgan.training.loop import Progress

logger = logging.getLogger(__name__)
LOSSES = "{desc} {percentage:3.0f}%|{bar:10}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


class LiveView:
    """Show the steps, the time left, images per second and the losses of one training."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.bar: tqdm | None = None
        self.warned = False

    def __call__(self, report: Progress) -> None:
        """Move the bar, which closes at the last step, and warn once of mode collapse."""
        if self.bar is None:
            from medgan.progress import progress_bar  # the loop itself does without tqdm

            self.bar = progress_bar(self.name, "step", report.total, bar_format=LOSSES, leave=True)
        if report.terms:
            shown = f"{report.images_per_second:.0f} images/s, {_short(report.terms)}"
            self.bar.set_postfix_str(shown, refresh=False)
        self.bar.update(report.step - self.bar.n)
        if report.validation is not None and not self.warned:
            warning = collapse_warning(report.validation.metrics, report.step, report.total)
            if warning is not None:
                self.warned = True
                with self.bar.external_write_mode():
                    logger.warning("%s: %s", self.name, warning)
        if report.step >= report.total:
            self.bar.close()


def _short(terms: Mapping[str, float]) -> str:
    """Format terms as `D adversarial 0.69, G adversarial 0.70`."""
    return ", ".join(
        f"{name[0].upper()} {name.split('/')[1].replace('_', ' ')} {value:.3g}"
        for name, value in terms.items()
    )
