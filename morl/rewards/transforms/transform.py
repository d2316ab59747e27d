"""What a composition needs of a transform."""

from typing import Any, Protocol, TypeAlias, runtime_checkable

from jaxtyping import Array, Bool, Float

from morl.rewards.schedule import Number

Values: TypeAlias = Float[Array, "..."]
Here: TypeAlias = Bool[Array, "..."]
State: TypeAlias = Any  # a pytree of arrays


@runtime_checkable
class Transform(Protocol):
    """What a composition needs of a transform; the defaults are those without state."""

    @property
    def centres_prompts(self) -> bool:
        """Whether what comes out can be compared across prompts."""
        return False

    def init(self) -> State:
        """The state before anything was seen."""
        return ()

    def observe(self, values: Values, present: Here, state: State) -> State:
        """The state after a batch."""
        del values, present
        return state

    def apply(self, values: Values, present: Here, state: State) -> Values:
        """The values changed; finite, and without meaning, where absent."""
        ...

    def ceiling(self, high: Number | None) -> Number | None:
        """The largest value that comes out when ``high`` is the largest going in."""
        ...
