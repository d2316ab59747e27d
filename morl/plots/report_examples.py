"""The report's examples: one prompt, answered along the front."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, SupportsFloat

from morl.errors import InputError
from morl.plots.html import esc, num, section
from morl.plots.styles import OBJECTIVES


def examples_section(
    examples: Sequence[Mapping[str, Any]], objectives: tuple[str, ...], chosen: str
) -> str:
    """Every prompt with its answers side by side, and how prompts were chosen."""
    text = (
        "Answers were written by a model and are shown as they are; some may be wrong "
        "or offensive. Bars show the weighting."
    )
    how = f"Each prompt was {chosen}. " if chosen else ""
    note = f'<p class="soft">{esc(how + text)}</p>'
    parts = [
        _example(example, objectives, f"examples[{i}]")
        for i, example in enumerate(examples)
    ]
    return section("Answers along the front", note if parts else "", *parts)


def _example(
    example: Mapping[str, Any], objectives: tuple[str, ...], where: str
) -> str:
    for key in ("prompt", "answers"):
        if key not in example:
            raise InputError("missing key", where=f"{where}.{key}")
    answers = "".join(
        _answer(answer, objectives, f"{where}.answers[{i}]")
        for i, answer in enumerate(example["answers"])
    )
    return (
        f'<article><h3>Prompt</h3><div class="prompt">{_prompt(example["prompt"])}'
        f'</div><div class="answers">{answers}</div></article>'
    )


def _prompt(prompt: str | Sequence[Mapping[str, Any]]) -> str:
    """A prompt as text, or turn by turn."""
    if isinstance(prompt, str):
        return esc(prompt)
    return "\n\n".join(
        f"<b>{esc(turn['role'])}</b>\n{esc(turn['content'])}" for turn in prompt
    )


def _answer(answer: Mapping[str, Any], objectives: tuple[str, ...], where: str) -> str:
    """One answer: its weighting as a bar and in figures, the text, its rewards."""
    if "text" not in answer:
        raise InputError("missing key", where=f"{where}.text")
    for key in ("weights", "rewards"):
        if answer.get(key) is not None and len(answer[key]) != len(objectives):
            raise InputError(
                f"has {len(answer[key])} entries, objectives are {objectives}",
                where=f"{where}.{key}",
            )
    label = answer.get("label") or answer.get("method") or ""
    parts = [f"<b>{esc(label)}</b>" if label else ""]
    if answer.get("weights") is not None:
        parts += [_bar(answer["weights"]), _listed("weights", answer, objectives)]
    parts.append(f"<blockquote>{esc(answer['text'])}</blockquote>")
    if answer.get("rewards") is not None:
        parts.append(_listed("rewards", answer, objectives))
    return f'<div class="answer">{"".join(parts)}</div>'


def _listed(key: str, answer: Mapping[str, Any], objectives: tuple[str, ...]) -> str:
    pairs = zip(objectives, answer[key], strict=True)
    text = ", ".join(f"{name} {num(value)}" for name, value in pairs)
    return f'<div class="soft">{esc(f"{key}: {text}")}</div>'


def _bar(weights: Iterable[SupportsFloat]) -> str:
    """A weighting as a bar in the objectives' colours; the figures stand below it."""
    sizes = [abs(float(weight)) for weight in weights]
    total = sum(sizes) or 1.0
    pieces = "".join(
        f'<span style="width:{100 * size / total:.1f}%;'
        f'background:{OBJECTIVES[k % len(OBJECTIVES)]}"></span>'
        for k, size in enumerate(sizes)
    )
    return f'<div class="bar" aria-hidden="true">{pieces}</div>'
