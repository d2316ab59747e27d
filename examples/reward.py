"""A reward in Python: two things to want, one to avoid, and a condition.

Run it to see the composition, and what it says of two answers:

    python examples/reward.py

``reward.yaml`` beside it is the same composition, for commands:

    morl score examples/reward.yaml --functions examples/reward.py --text "..."
"""

import morl
from morl.rewards import callable_reward, explain_batch, rules, text_batch

HEDGES = {"maybe": 1.0, "perhaps": 1.0, "i think": 1.0, "it depends": 2.0}


def grounded(prompt: str, response: str) -> tuple[float, str]:
    """The share of the words of a prompt that its response takes up, and which.

    Any function of prompt and response is a reward: ask a judge, call a service. It
    gives back a number, alone or with a critique; where it fails the reward is absent.
    """
    asked = {word for word in words(prompt) if len(word) > 3}
    taken = sorted(asked & set(words(response)))
    return len(taken) / max(len(asked), 1), f"takes up {', '.join(taken) or 'nothing'}"


def words(text: str) -> list[str]:
    """Lower-case words of a text."""
    return [word.strip(".,;:!?'\"").lower() for word in text.split()]


def composition() -> morl.Composition:
    """Grounded and plain, brief, and never without a full stop."""
    on_topic = callable_reward("grounded", grounded).steer()
    hedging = rules.lexicon(HEDGES, name="hedging").steer()
    finished = rules.regex(r"[.!?]\s*$", name="finished")
    brevity = rules.length("word")
    reward = 1.0 * on_topic - 0.2 * hedging - 0.01 * brevity
    return reward.subject_to(finished >= 1.0, multiplier=0.5)


def main() -> None:
    """Prints the composition, and why two answers have their utilities."""
    reward = composition()
    print(reward)
    prompt = "How do I store fresh basil?"
    answers = [
        "Store fresh basil in a glass of water, like flowers, out of the sun.",
        "It depends. Maybe the fridge, I think",
    ]
    print(explain_batch(reward, text_batch([prompt] * 2, answers)))


if __name__ == "__main__":
    main()
