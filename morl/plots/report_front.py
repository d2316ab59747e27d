"""The report's sections about the front itself: figures, verdicts, points, origin."""

from morl.pareto import (
    Front,
    FrontPoint,
    control_verdict,
    intervals_of,
    monotonicity_violations,
    rewards_of,
    select,
    separated,
    vertex_gains,
    weights_of,
)
from morl.plots.figures import front as front_figure
from morl.plots.figures import parallel_figure, reward_kl_figure
from morl.plots.html import (
    bounded,
    cell,
    dot,
    esc,
    num,
    picture,
    section,
    table,
    verdict,
)
from morl.plots.styles import GREY, method_styles


def cards(front: Front) -> str:
    """The few numbers that a reader looks for first."""
    found = []
    if front.exact is not None:
        for method, share in front.exact.share_closed.items():
            text = f"of the gap to the exact front closed by {method}"
            found.append((f"{100 * share:.0f}%", text))
    for method, volume in front.hypervolume.items():
        if method in front.methods:
            text = f"hypervolume of {method}"
            if volume.interval is not None:
                low, high = volume.interval
                text += f", 95% interval [{num(low, 3)}, {num(high, 3)}]"
            found.append((num(volume.value, 3), text))
    if front.methods:
        kept = [p for p in front.points if p.role == "sweep" and not p.dominated]
        swept = sum(p.role == "sweep" for p in front.points)
        found.append(
            (
                f"{len(kept)} of {swept}",
                "swept points are not dominated within their method",
            )
        )
    items = "".join(f"<li><b>{esc(a)}</b><span>{esc(b)}</span></li>" for a, b in found)
    return f'<ul class="cards">{items}</ul>\n' if items else ""


def figures_section(front: Front) -> str:
    """The front, its parallel coordinates, and reward against KL."""
    names = ", ".join(front.objectives)
    methods = " and ".join(front.methods)
    parts = []
    if len(front.objectives) > 1:
        alt = f"Front over {names} by {methods}, with 95% intervals"
        caption = (
            "Mean rewards over prompts. A staircase bounds what a method's points "
            "dominate above the reference point of the hypervolume. Bars are 95% "
            "bootstrap intervals over prompts; the control's box is a band that holds "
            "for all its points at once in 95% of runs. Hollow points are ties: in "
            "every objective their interval overlaps that of another point of the "
            "method."
        )
        parts.append(picture(front_figure(front), alt=alt, caption=caption))
    if front.methods and len(front.objectives) > 1:
        alt = f"Parallel coordinates over {names}, coloured by weighting"
        caption = (
            "Each line is one weighting: thick where it weighs one objective alone, "
            "with 95% intervals, else thin in a pale mixture of the objectives' "
            "colours. Lines that cross between two axes are a trade-off."
        )
        parts.append(picture(parallel_figure(front), alt=alt, caption=caption))
    if front.base is not None and any(p.kl is not None for p in front.points):
        alt = f"Reward in {names} against KL from the candidates"
        caption = (
            "What each nat bought. The KL is that of the selection from the uniform "
            "distribution over the N candidates of a prompt, at most log N; the KL "
            "from the policy that they were sampled from is no larger."
        )
        parts.append(picture(reward_kl_figure(front), alt=alt, caption=caption))
    return section("The front", *parts)


def verdicts_section(front: Front) -> str:
    """What the intervals allow to be said: of methods, vertices and the control."""
    parts = [_methods_table(front), _vertices_table(front), _control(front)]
    return section("What can be said", *parts)


def _methods_table(front: Front) -> str:
    """A line a method: volume, share closed, KL, points kept, order kept."""
    if not front.methods:
        return ""
    shares = {} if front.exact is None else front.exact.share_closed
    headers = ["method", "hypervolume [95% interval]"]
    headers += ["gap closed"] if shares else []
    headers += ["KL [nats]", "not dominated", "pairs out of order"]
    rows = []
    for method in front.methods:
        points = select(front.points, method, "sweep")
        volume = front.hypervolume.get(method)
        row = [
            _named(front, method),
            cell(bounded(volume.value, volume.interval, 3) if volume else "-"),
        ]
        row += [cell(num(shares.get(method)))] if shares else []
        kept = sum(not point.dominated for point in points)
        row += [
            cell(_range([p.kl for p in points if p.kl is not None])),
            cell(f"{kept} of {len(points)}"),
            cell(_order(points)),
        ]
        rows.append(row)
    caption = (
        "Hypervolume above the reference point. Dominated: by a point of the same "
        "method. Out of order: pairs of weightings with "
        "(w - w').(R - R') < 0, among those whose intervals separate; an exact optimum "
        "of the weighted reward, scored by itself, has none."
    )
    return table(headers, rows, caption)


def _order(points: list[FrontPoint]) -> str:
    bounds = intervals_of(points)
    broken = monotonicity_violations(weights_of(points), rewards_of(points), bounds)
    return f"{len(broken)} of {int(separated(bounds).sum()) // 2}"


def _range(values: list[float]) -> str:
    if not values:
        return "-"
    low, high = num(min(values)), num(max(values))
    return low if low == high else f"{low} to {high}"


def _named(front: Front, method: str) -> str:
    styles = method_styles(front)
    return dot(styles[method].color if method in styles else GREY) + esc(method)


def _vertices_table(front: Front) -> str:
    """Whether asking for one objective alone gets more of it."""
    if front.base is None:
        return ""
    rows = [
        [
            _named(front, method),
            cell(esc(front.objectives[gain.objective])),
            cell(f"{num(gain.gain)}"),
            cell(
                '<span class="good">clear</span>'
                if gain.clear
                else '<span class="warn">within the intervals</span>'
            ),
        ]
        for method in front.methods
        for gain in vertex_gains(select(front.points, method, "sweep"), front.base)
    ]
    caption = (
        "Gain over the base policy in each objective, where it alone is weighed; clear "
        "where the two intervals do not overlap."
    )
    headers = ["method", "objective", "gain", "verdict"]
    return table(headers, rows, caption) if rows else ""


def _control(front: Front) -> str:
    """What selection by heads that know nothing reached."""
    found = control_verdict(front)
    return verdict(found.text, sound=found.sound)


def points_section(front: Front) -> str:
    """Every point, sorted by role, method and weighting."""
    if not front.points:
        return ""
    order = ("base", "expert", "sweep", "control")
    methods = list(method_styles(front))

    def place(point: FrontPoint) -> tuple[int, int, tuple[float, ...]]:
        rank = methods.index(point.method) if point.method in methods else 0
        return order.index(point.role), rank, tuple(-w for w in point.weights)

    headers = [
        "method",
        "weights",
        *(f"{name} [95% interval]" for name in front.objectives),
        "selector's view",
        "KL [nats]",
        "length [tokens]",
        "marks",
    ]
    ranked = sorted(front.points, key=place)
    rows = [_row(front, point) for point in ranked]
    names = ", ".join(front.objectives)
    caption = f"Mean rewards over prompts; weights in the order {names}."
    return section(f"All {len(rows)} points", table(headers, rows, caption))


def _row(front: Front, point: FrontPoint) -> list[str]:
    bounds = point.interval or (None,) * len(point.rewards)
    pairs = zip(point.rewards, bounds, strict=True)
    seen = point.selector_rewards
    asked = "-" if point.role == "base" else " / ".join(num(w) for w in point.weights)
    return [
        _named(front, point.method) + (f" ({esc(point.label)})" if point.label else ""),
        cell(asked),
        *(cell(bounded(value, pair)) for value, pair in pairs),
        cell(" / ".join(num(value) for value in seen) if seen else "-"),
        cell(num(point.kl)),
        cell(num(point.length, 1)),
        cell(esc(_marked(front, point))),
    ]


def _marked(front: Front, point: FrontPoint) -> str:
    """Dominated or not, and what the point ties with."""
    marks = ["dominated"] if point.dominated else ["not dominated"]
    if point.ties:
        marks.append(f"ties with {len(point.ties)}")
    if any(front.points[i].role == "base" for i in point.ties):
        marks.append("ties with the base policy")
    return ", ".join(marks)


def provenance_section(front: Front, stages: str) -> str:
    """Where it all comes from; only what is known."""
    origin = front.provenance
    scale = front.normalisation
    known = {
        "command": origin.command,
        "created by": origin.created_by,
        "configuration (SHA-256)": origin.config_hash,
        "policy": origin.model,
        "judge": origin.judge,
        "data": "; ".join(origin.data),
        "seeds": ", ".join(map(str, origin.seeds)),
        "sizes": ", ".join(f"{n} {name}" for name, n in origin.sizes.items()),
        "versions": ", ".join(f"{k} {v}" for k, v in origin.versions.items()),
        "hypervolume from": ", ".join(
            f"{name} {num(value, 3)}"
            for name, value in zip(front.objectives, front.reference, strict=True)
        ),
        "scale, base to best": ""
        if scale is None
        else ", ".join(
            f"{name} {num(low, 3)} to {num(high, 3)}"
            for name, low, high in zip(
                front.objectives, scale.base, scale.best, strict=True
            )
        ),
    }
    rows = [
        [esc(key), cell(f"<code>{esc(value)}</code>", css="prose")]
        for key, value in known.items()
        if value
    ]
    return section(
        "Where it comes from",
        table(["what", "value"], rows, "What this page was made of, and with."),
        stages,
    )
