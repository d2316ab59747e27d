"""Legend entries: only what a front holds, and the keys to its markers."""

from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from morl.pareto import Front
from morl.plots.styles import (
    BASE,
    BASE_LOOK,
    BLACK,
    BOX,
    EXACT,
    EXPERT,
    GREY,
    Style,
    method_styles,
)

MANY = 24


def swept(front: Front, method: str) -> set[int]:
    """Indices of a method's points, those that landmarks repeat left out."""
    return {
        i
        for i, point in enumerate(front.points)
        if point.method == method and point.role in ("sweep", "control")
    }


def method_entries(front: Front) -> list[Artist]:
    """Legend entries for methods, with their KL, the control, and the base policy."""
    styles = method_styles(front)
    entries: list[Artist] = [
        _entry(styles[method]._replace(label=_label(front, method)), line=True)
        for method in front.methods
    ]
    controls = front.controls
    if controls:
        label = controls[0] if len(controls) == 1 else "control: selection by noise"
        entries.append(_entry(styles[controls[0]]._replace(label=label), line=False))
        if any(point.interval for point in front.points if point.role == "control"):
            entries.append(Patch(**BOX, label="the control's band, all points at once"))
    if front.base is not None:
        entries.append(_entry(BASE, line=False))
    return entries


def legend_handles(front: Front) -> list[Artist]:
    """Legend entries for what a front holds, the keys to its markers last."""
    entries = method_entries(front)
    if front.exact is not None:
        dashes = (0, (4, 2))
        entries.append(
            Line2D([], [], color=BLACK, ls=dashes, lw=1.1, label=EXACT.label)
        )
    if front.experts:
        entries.append(_entry(EXPERT, line=False))
    plus = Style(GREY, "+", "reference point of the hypervolume")
    return [*entries, _entry(plus, line=False), *_keys(front)]


def _keys(front: Front) -> list[Line2D]:
    """What hollow, small and faint markers and the bars stand for."""
    keys = []
    if any(point.ties for point in front.points):
        hollow = _entry(Style(GREY, "o", "hollow: tied within its method"), line=False)
        hollow.set_markerfacecolor("white")
        keys.append(hollow)
    if len(front.objectives) > 2:
        keys.append(_small("small: below its method's staircase", 0.75))
    if any(point.dominated for point in front.points):
        keys.append(_small("faint: dominated within its method", 0.35))
    if any(point.interval for point in front.points if point.role == "sweep"):
        dense = any(len(swept(front, method)) > MANY for method in front.methods)
        text = "95% interval" + (", points on a staircase" if dense else "")
        keys.append(Line2D([], [], color=GREY, alpha=0.65, lw=0.8, label=text))
    return keys


def _small(label: str, alpha: float) -> Line2D:
    key = _entry(Style(GREY, "o", label), line=False)
    key.set(markersize=3.0, alpha=alpha)
    return key


def _label(front: Front, method: str) -> str:
    """A method's name, with the KL that buys its rewards."""
    found = (front.points[i].kl for i in swept(front, method))
    kl = [value for value in found if value is not None]
    if not kl:
        return method
    low, high = f"{min(kl):.2f}", f"{max(kl):.2f}"
    return f"{method} (KL {low if low == high else f'{low} to {high}'} nats)"


def _entry(style: Style, *, line: bool) -> Line2D:
    """A legend entry that looks like what it stands for."""
    if style == BASE:
        return Line2D([], [], **BASE_LOOK, label=style.label)
    return Line2D(
        [],
        [],
        color=style.color,
        marker=style.marker,
        ms=8 if style == EXPERT else 5,
        mec=style.color,
        ls="-" if line else "none",
        lw=1.3,
        label=style.label,
    )
