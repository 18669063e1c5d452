"""What a training shows while it runs: a bar with live losses, and the alarm for mode collapse."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping

from tqdm import tqdm

from medgan.training.loop import Progress
from medgan.training.validation import collapse

logger = logging.getLogger(__name__)


def progress_bar(name: str, unit: str, total: int | None = None) -> tqdm:
    """A bar on stderr. Where that is not a terminal, a line every ten seconds is enough."""
    every = 0.5 if sys.stderr.isatty() else 10.0
    return tqdm(total=total, desc=f"{name:>18}", unit=unit, mininterval=every, dynamic_ncols=True)


class LiveView:
    """Shows the reports of one training: steps, time left, images a second and the losses as they
    fall; warns once of a collapse.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.bar: tqdm | None = None
        self.warned = False

    def __call__(self, report: Progress) -> None:
        """Moves the bar; it closes itself at the last step."""
        if self.bar is None:
            self.bar = progress_bar(self.name, "step", report.total)
        if report.terms:
            self.bar.set_postfix_str(
                f"{report.images_per_second:.0f} images/s, {_short(report.terms)}", refresh=False
            )
        self.bar.update(report.step - self.bar.n)
        self._warn(report)
        if report.step >= report.total:
            self.bar.close()

    def _warn(self, report: Progress) -> None:
        alarm = (
            None
            if self.warned or report.look is None
            else collapse(report.look.figures, report.step, report.total)
        )
        if alarm is not None:
            self.warned = True
            logger.warning("%s: %s", self.name, alarm)


def _short(terms: Mapping[str, float]) -> str:
    """`D adversarial 0.69, G adversarial 0.70` from `discriminator/adversarial` and so on."""
    return ", ".join(
        f"{name[0].upper()} {name.split('/')[1].replace('_', ' ')} {value:.3g}"
        for name, value in terms.items()
    )
