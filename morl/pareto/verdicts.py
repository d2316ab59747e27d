"""What a front allows to be said in words, the same in the console and on the page."""

from typing import NamedTuple

from morl.pareto.front import Front
from morl.pareto.marks import control_gains


class Verdict(NamedTuple):
    """A sentence, and whether it is good news.

    Attributes:
      text: The sentence.
      sound: Whether nothing speaks against the front.
    """

    text: str
    sound: bool


def control_verdict(front: Front) -> Verdict:
    """Whether selection by heads that know nothing gains, as it should not.

    The control's intervals are one band that holds for all of its values at once, in
    95% of runs (:class:`morl.pareto.FrontPoint`): one sound run in twenty shows a gain.

    Args:
      front: Its points of role ``"control"`` are judged against its base policy.

    Returns:
      The verdict; not sound where there is no control to judge.
    """
    points = [point for point in front.points if point.role == "control"]
    if not points or front.base is None:
        return Verdict(
            "No control was drawn: gains by choice and by chance look the same.", False
        )
    known = [point for point in points if point.interval is not None]
    if front.base.interval is None or not known:
        return Verdict(
            "The control has no intervals, so nothing can be said about its gain.",
            False,
        )
    gains = control_gains(known, front.base)
    tests = len(known) * len(front.objectives)
    if not gains:
        return Verdict(
            f"The control is sound: selection by noise heads ({len(known)} points) has "
            f"no clear gain over the base policy in any of {tests} comparisons.",
            True,
        )
    named = {(gain.point.method, front.objectives[gain.objective]) for gain in gains}
    listed = ", ".join(f"{method}: {name}" for method, name in sorted(named))
    return Verdict(
        f"The control gains over the base policy in {len(gains)} of {tests} "
        f"comparisons ({listed}), outside a band that holds for all of them in 95% of "
        "runs. One sound run in 20 does: trace the front with another seed (the "
        "setting front.seed). If the gain stays, a judge took part in the selection.",
        False,
    )
