"""Calls that may fail, hang or be slow: bounded in number and time, tried again.

The functions here know nothing of rewards. They run on an event loop of their own, so
that they work from plain scripts and inside a notebook's loop alike.
"""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import inspect
import math
import random
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from morl.errors import InputError

Result = TypeVar("Result")
SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class Limits:
    """How calls are made.

    Attributes:
      concurrency: Calls under way at once, at least 1.
      timeout: Seconds one try may take.
      retries: Tries after the first that failed.
      backoff: Seconds before the second try, on average; each wait is twice the last.
    """

    concurrency: int = 8
    timeout: float = 30.0
    retries: int = 2
    backoff: float = 0.5


class Failure(NamedTuple):
    """A call that gave nothing, even when tried again.

    Attributes:
      kind: ``"timeout"``, or the name of the exception.
      reason: The same with its message and the number of tries.
    """

    kind: str
    reason: str


class Call(NamedTuple):
    """A function and what it is called with."""

    function: Callable[..., Any]
    positional: tuple[Any, ...] = ()
    named: dict[str, Any] = {}  # noqa: RUF012  never written


def check_limits(limits: Limits, *, where: str) -> None:
    """Refuses limits that cannot be kept."""
    at_once, again = limits.concurrency, limits.retries
    whole = isinstance(at_once, int), isinstance(again, int)
    checks = {
        "concurrency": (at_once, whole[0] and at_once >= 1, "1, 2, ..."),
        "timeout": (limits.timeout, 0 < limits.timeout < math.inf, "above 0"),
        "retries": (again, whole[1] and again >= 0, "0, 1, ..."),
        "backoff": (limits.backoff, 0 <= limits.backoff < math.inf, "0 or more"),
    }
    for key, (found, good, expected) in checks.items():
        if not good:
            raise InputError(
                f"found {found}, expected {expected}", where=f"{where}.{key}"
            )


def check_callable(call: Call, *, where: str) -> None:
    """Refuses a call that the function's signature does not take.

    Such a mistake would otherwise look like a failure of every row.
    """
    if not callable(call.function):
        raise InputError(f"found {call.function!r}, expected a function", where=where)
    try:
        signature = inspect.signature(call.function)
    except ValueError:  # Some builtins have none.
        return
    try:
        signature.bind(*call.positional, **call.named)
    except TypeError as error:
        raise InputError(
            f"takes {signature}, which does not fit how it is called: {error}",
            where=where,
        ) from None


def call_all(
    calls: Sequence[Call],
    limits: Limits,
    *,
    finished: Callable[[int, Any], None],
) -> None:
    """Makes every call, at most ``limits.concurrency`` at once.

    Args:
      calls: Sync or async functions. A sync one runs in a thread of its own; one that
        hangs cannot be stopped, so its thread is left behind when its time is over.
      limits: How many at once, how long, how often.
      finished: Gets the place of a call and its result or :class:`Failure`, as soon as
        it is known; in threads, so that it may write to disk without holding up the
        calls.
    """
    try:
        run_to_end(_call_all(iter(enumerate(calls)), limits, finished))
    except ExceptionGroup as group:
        # Calls do not raise: what did is ``finished``, and its first error says why.
        raise group.exceptions[0] from None


def run_to_end(main: Coroutine[Any, Any, Result]) -> Result:
    """Runs a coroutine to its end, also where an event loop already runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main)
    return _run_beside(main)


def _run_beside(main: Coroutine[Any, Any, Result]) -> Result:
    """Runs a coroutine in a thread, and stops it when the waiting is interrupted."""
    stop: list[Callable[[], object]] = []

    async def watched() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        stop.append(lambda: loop.call_soon_threadsafe(task.cancel))
        return await main

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(contextvars.copy_context().run, asyncio.run, watched())
        try:
            return future.result()
        except BaseException:
            if stop and not future.done():
                stop[0]()
            raise


async def _call_all(
    todo: Iterator[tuple[int, Call]],
    limits: Limits,
    finished: Callable[[int, Any], None],
) -> None:
    async def work() -> None:
        for index, call in todo:
            result = await _try(call, limits)
            await asyncio.to_thread(finished, index, result)

    async with asyncio.TaskGroup() as group:
        for _ in range(limits.concurrency):
            group.create_task(work())


async def _try(call: Call, limits: Limits) -> Any:
    """The result of a call, or the failure of its last try."""
    failure = Failure("", "")
    for attempt in range(limits.retries + 1):
        if attempt:
            # Jitter keeps callers that failed together from coming back together.
            wait = limits.backoff * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
            await asyncio.sleep(wait)
        try:
            async with asyncio.timeout(limits.timeout) as clock:
                return await _once(call)
        except (Exception, asyncio.CancelledError, SystemExit) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise  # the run is stopped, not the call
            tries = f"{attempt + 1} tr{'y' if attempt == 0 else 'ies'}"
            if isinstance(error, TimeoutError) and clock.expired():
                text = f"no answer within {limits.timeout:g} s ({tries})"
                failure = Failure("timeout", text)
            else:
                kind = type(error).__name__
                failure = Failure(kind, f"{kind}: {_short(error)} ({tries})")
    return failure


async def _once(call: Call) -> Any:
    work = lambda: call.function(*call.positional, **call.named)
    if is_async(call.function):
        return await work()
    result = await _in_thread(work)
    # A plain function may hand back a coroutine, as a lambda around one does.
    return await result if inspect.isawaitable(result) else result


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling ``function`` gives a coroutine, as far as can be told before."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        type(function).__call__
    )


def _in_thread(work: Callable[[], Any]) -> Awaitable[Any]:
    """The result of ``work`` from a daemon thread, which never holds up the exit.

    A pool would hold its slots for calls that hang, and wait for them at the end.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
    context = contextvars.copy_context()

    def settle(outcome: tuple[Any, BaseException | None]) -> None:
        if not future.done():
            future.set_result(outcome)

    def run() -> None:
        try:
            outcome = context.run(work), None
        except BaseException as error:  # Raised again where it is awaited.
            outcome = None, error
        # The loop is closed where the call came back long after its time was over.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, outcome)

    async def wait() -> Any:
        threading.Thread(target=run, daemon=True, name="morl-call").start()
        result, error = await future
        if error is not None:
            raise error
        return result

    return wait()


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    cut = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."
    return cut or "no message"
