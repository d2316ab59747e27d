# A judge takes prompt and response, whether it reads them or not.
# ruff: noqa: ARG001, ARG002, ARG005
import asyncio
import dataclasses
import functools
import json
import logging
import math
import signal
import threading
import time

import jax.numpy as jnp
import numpy as np
import pytest

from morl.errors import InputError
from morl.feedback import Message
from morl.rewards.batch import text_batch
from morl.rewards.batched import batched_reward
from morl.rewards.callables import CallableSource, callable_reward
from morl.rewards.calling import run_to_end
from morl.rewards.verdicts import VerdictCache


def batch_of(*responses, **columns):
    return text_batch(["q"] * len(responses), list(responses), **columns)


def quick(reward, **settings):
    """The same source with waits of milliseconds."""
    return dataclasses.replace(reward.source, **{"backoff": 0.001, **settings})


def as_async(fn):
    async def wrapped(*arguments):
        await asyncio.sleep(0)
        return fn(*arguments)

    return wrapped


both_kinds = pytest.mark.parametrize(
    "kind", [lambda f: f, as_async], ids=("sync", "async")
)


class Meter:
    """Counts calls, and how many are under way at once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.calls = self.now = self.peak = 0

    def __enter__(self):
        with self.lock:
            self.calls += 1
            self.now += 1
            self.peak = max(self.peak, self.now)

    def __exit__(self, *exception):
        with self.lock:
            self.now -= 1


# -------------------------------------------------------------------- results
@both_kinds
def test_scores_come_back_in_the_order_of_the_rows(kind):
    def judge(prompt, response):
        # The first rows finish last.
        time.sleep(0.01 * (5 - len(response)))
        return len(prompt + response)

    scored = callable_reward("judge", kind(judge)).source.score(
        batch_of("a", "bb", "ccc", "dddd")
    )
    assert scored.values.tolist() == [2, 3, 4, 5]
    assert scored.explanations[0] == "scored 2" and scored.failures == {}


@both_kinds
@pytest.mark.parametrize(
    ("result", "kind_of_failure"),
    [
        (None, "None"),
        (math.nan, "not finite"),
        (math.inf, "not finite"),
        (1e39, "not finite"),
        (10**400, "wrong type"),
        ("0.5", "wrong type"),
        ([0.5], "wrong type"),
        (np.zeros(2), "wrong type"),
        ({"score": 1}, "wrong type"),
        (1j, "wrong type"),
        ((0.5, 3), "wrong type"),
    ],
    ids=repr,
)
def test_an_answer_that_is_no_number_makes_the_row_absent_and_is_counted(
    kind, result, kind_of_failure
):
    judge = kind(lambda p, r: result if r == "bad" else 1.0)
    scored = callable_reward("judge", judge).source.score(batch_of("bad", "good"))
    assert scored.present.tolist() == [False, True]
    assert math.isnan(scored.values[0]) and scored.values[1] == 1
    assert scored.explanations[0].startswith("absent: returned")
    assert scored.failures == {kind_of_failure: 1}


@pytest.mark.parametrize(
    "result", [1, True, 1.0, np.float32(1), np.int64(1), np.bool_(True), jnp.ones(())]
)
def test_every_kind_of_number_is_taken(result):
    scored = callable_reward("judge", lambda p, r: result).source.score(batch_of("x"))
    assert scored.values.tolist() == [1.0]


def test_a_critique_is_kept_beside_its_score_even_where_the_score_is_missing():
    judge = lambda p, r: (0.5, "Kind.") if r == "a" else (None, "I cannot tell.")
    scored = callable_reward("judge", judge).source.score(batch_of("a", "b"))
    assert scored.critiques == ("Kind.", "I cannot tell.")
    assert scored.explanations == (
        "Kind.",
        "absent: returned None; it wrote: I cannot tell.",
    )


# ------------------------------------------------------- failures and retries
@both_kinds
def test_a_call_that_fails_twice_succeeds_at_the_third_try(kind):
    meter = Meter()

    def judge(prompt, response):
        with meter:
            if meter.calls < 3:
                raise ConnectionError("reset by peer")
            return 0.25

    scored = quick(callable_reward("judge", kind(judge), retries=2)).score(
        batch_of("a")
    )
    assert scored.values.tolist() == [0.25] and meter.calls == 3


@both_kinds
def test_a_call_that_always_fails_is_absent_with_its_reason(kind, caplog):
    def judge(prompt, response):
        raise KeyError("score\n missing")

    source = quick(callable_reward("judge", kind(judge), retries=1))
    with caplog.at_level(logging.WARNING):
        scored = source.score(batch_of("a", "b"))
    assert not scored.present.any()
    assert scored.explanations[0] == "absent: KeyError: 'score\\n missing' (2 tries)"
    assert scored.failures == {"KeyError": 2}
    assert "judge is absent in 2 of 2 rows (KeyError x2)" in caplog.text


@both_kinds
def test_an_exhausted_iterator_inside_a_judge_is_a_failure_like_any_other(kind):
    scored = quick(callable_reward("judge", kind(lambda p, r: next(iter(()))))).score(
        batch_of("a")
    )
    assert not scored.present.any() and scored.failures == {"RuntimeError": 1}


@both_kinds
def test_waits_between_tries_double_on_average(kind, monkeypatch):
    waits = []
    real = asyncio.sleep

    async def sleep(seconds):
        if seconds:
            waits.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)

    def judge(prompt, response):
        raise OSError

    reward = callable_reward("judge", kind(judge), retries=4, concurrency=1)
    dataclasses.replace(reward.source, backoff=1.0).score(batch_of(*"abcdefgh"))
    waits = np.array(waits).reshape(8, 4)
    base = 2.0 ** np.arange(4)
    assert np.all((0.5 * base <= waits) & (waits <= 1.5 * base))
    assert len(np.unique(waits)) == waits.size


def test_a_hanging_async_judge_is_cancelled_and_absent():
    cancelled = []

    async def judge(prompt, response):
        if response == "hang":
            try:
                await asyncio.sleep(60)
            finally:
                cancelled.append(response)
        return 1.0

    started = time.monotonic()
    reward = callable_reward("judge", judge, timeout=0.1, retries=1)
    scored = quick(reward).score(batch_of("hang", "fine"))
    assert scored.present.tolist() == [False, True]
    assert scored.explanations[0] == "absent: no answer within 0.1 s (2 tries)"
    assert scored.failures == {"timeout": 1} and cancelled == ["hang", "hang"]
    assert time.monotonic() - started < 10


def test_hanging_sync_judges_do_not_starve_the_rows_after_them():
    release = threading.Event()

    def judge(prompt, response):
        if response.startswith("hang"):
            release.wait(60)
        return 1.0

    reward = callable_reward("judge", judge, timeout=0.5, retries=0, concurrency=2)
    scored = quick(reward).score(batch_of("hang1", "hang2", "c", "d"))
    release.set()
    assert scored.present.tolist() == [False, False, True, True]
    assert scored.failures == {"timeout": 2}


def test_a_timeout_that_the_judge_raises_itself_is_not_called_ours():
    def judge(prompt, response):
        raise TimeoutError("upstream")

    scored = quick(callable_reward("judge", judge, retries=0)).score(batch_of("a"))
    assert scored.explanations == ("absent: TimeoutError: upstream (1 try)",)


class Ending(SystemExit):
    """What ``sys.exit`` raises, under a name of its own."""


@both_kinds
@pytest.mark.parametrize("fault", [asyncio.CancelledError, Ending])
def test_a_judge_that_cancels_or_exits_is_absent_like_one_that_fails(kind, fault):
    def judge(prompt, response):
        if response == "b":
            raise fault
        return 0.5

    source = quick(callable_reward("judge", kind(judge), retries=0))
    scored = source.score(batch_of("a", "b", "c"))
    assert scored.present.tolist() == [True, False, True]
    assert scored.failures == {fault.__name__: 1}


def test_a_verdict_that_cannot_be_written_is_one_plain_error(tmp_path, monkeypatch):
    def full(self, key, given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(VerdictCache, "write", full)
    source = callable_reward("j", lambda p, r: 1.0, cache_dir=tmp_path).source
    with pytest.raises(OSError, match="No space left"):
        source.score(batch_of("a", "b"))


def test_an_interrupt_is_not_swallowed():
    async def judge(prompt, response):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        callable_reward("judge", judge).source.score(batch_of("a"))


# ---------------------------------------------------------------- concurrency
@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_no_more_calls_than_allowed_are_under_way_and_that_many_are(
    concurrency, asynchronous
):
    meter = Meter()

    def plain(prompt, response):
        with meter:
            time.sleep(0.05)
        return 1.0

    async def waiting(prompt, response):
        with meter:
            await asyncio.sleep(0.05)
        return 1.0

    judge = waiting if asynchronous else plain
    reward = callable_reward("judge", judge, concurrency=concurrency)
    reward.source.score(batch_of(*"abcdefghi"))
    assert (meter.calls, meter.peak) == (9, concurrency)


def test_equal_rows_are_asked_about_once():
    meter = Meter()

    def judge(prompt, response):
        with meter:
            return len(response)

    scored = callable_reward("judge", judge).source.score(batch_of("a", "bb", "a", "a"))
    assert scored.values.tolist() == [1, 2, 1, 1] and meter.calls == 2


def test_scoring_works_inside_a_running_event_loop():
    async def judge(prompt, response):
        await asyncio.sleep(0.01)
        return 1.0

    async def notebook():
        reward = callable_reward("judge", judge)
        return reward.source.score(batch_of("a", "b"))

    assert asyncio.run(notebook()).values.tolist() == [1, 1]


def test_context_variables_reach_plain_judges():
    import contextvars

    user = contextvars.ContextVar("user", default="nobody")
    user.set("ana")
    judge = lambda p, r: float(user.get() == "ana")
    assert callable_reward("judge", judge).source.score(batch_of("a")).values[0] == 1


@pytest.mark.parametrize(
    "judge",
    [
        functools.partial(lambda scale, p, r: scale, 2.0),
        functools.partial(as_async(lambda scale, p, r: scale), 2.0),
        lambda p, r: as_async(lambda a, b: 2.0)(p, r),
    ],
    ids=("partial", "async partial", "lambda around async"),
)
def test_judges_of_every_shape_are_called(judge):
    assert callable_reward("judge", judge).source.score(batch_of("a")).values[0] == 2


def test_a_callable_object_with_an_async_call_runs_on_the_loop():
    class Judge:
        async def __call__(self, prompt, response):
            assert asyncio.get_running_loop()
            return 3.0

    assert callable_reward("judge", Judge()).source.score(batch_of("a")).values[0] == 3


# ----------------------------------------------------------------- arguments
def test_judges_see_text_messages_or_the_whole_row():
    prompt = (Message("system", "Be kind."), Message("user", "Hi"))
    batch = text_batch([prompt], ["Hello"], references=["yo"], metadata=[{"k": 7}])
    seen = []

    def text(prompt, response):
        seen.append((prompt, response))
        return 0

    def messages(prompt, response):
        seen.append((prompt[1].content, response[0].role))
        return 0

    def row(row):
        seen.append((row.reference, row.metadata["k"]))
        return 0

    callable_reward("j", text).source.score(batch)
    callable_reward("j", messages, takes="messages").source.score(batch)
    callable_reward("j", row, takes="row").source.score(batch)
    assert seen == [("Be kind.\nHi", "Hello"), ("Hi", "assistant"), ("yo", 7)]


def test_rows_that_differ_in_reference_alone_are_different_to_a_judge_of_rows():
    judge = callable_reward("j", lambda row: float(row.reference), takes="row")
    scored = judge.source.score(batch_of("a", "a", references=["1", "2"]))
    assert scored.values.tolist() == [1, 2]


def test_what_cannot_be_called_or_kept_is_refused_at_once():
    with pytest.raises(
        InputError, match=r"judge: takes \(response\).*how it is called"
    ):
        callable_reward("judge", lambda response: 1.0)
    for key, value in {"concurrency": 0, "timeout": 0.0, "retries": -1}.items():
        with pytest.raises(InputError, match=rf"judge\.{key}: found {value}"):
            callable_reward("judge", lambda p, r: 1.0, **{key: value})
    with pytest.raises(
        InputError, match=r"judge\.takes: found 'bytes'.*text, messages"
    ):
        CallableSource("judge", lambda p, r: 1.0, takes="bytes")


def test_an_empty_batch_has_no_scores():
    scored = callable_reward("judge", lambda p, r: 1.0).source.score(batch_of())
    assert scored.values.shape == (0,) and scored.present.dtype == bool


# --------------------------------------------------------------------- cache
def counting(meter, result=0.1):
    def judge(prompt, response):
        with meter:
            return (result, f"on {response}")

    return judge


def test_scores_and_critiques_are_read_from_the_cache_exactly(tmp_path):
    meter = Meter()
    reward = callable_reward("judge", counting(meter, 1 / 3), cache_dir=tmp_path)
    first = reward.source.score(batch_of("a", "b"))
    again = reward.source.score(batch_of("b", "a", "c"))
    assert meter.calls == 3
    np.testing.assert_array_equal(again.values[:2], first.values[::-1])
    assert again.critiques == ("on b", "on a", "on c")


def test_another_name_version_or_prompt_is_another_entry(tmp_path):
    meter = Meter()
    settings = {"cache_dir": tmp_path}
    callable_reward("one", counting(meter), **settings).source.score(batch_of("a"))
    callable_reward("two", counting(meter), **settings).source.score(batch_of("a"))
    newer = callable_reward("one", counting(meter), version="2", **settings)
    newer.source.score(batch_of("a"))
    newer.source.score(text_batch(["another prompt"], ["a"]))
    newer.source.score(text_batch([(Message("system", "q"),)], ["a"]))
    assert meter.calls == 5


def test_failures_are_not_kept(tmp_path):
    answers = iter([None, 0.5])
    judge = callable_reward("j", lambda p, r: next(answers), cache_dir=tmp_path)
    assert not judge.source.score(batch_of("a")).present.any()
    assert judge.source.score(batch_of("a")).values.tolist() == [0.5]


def test_a_cache_that_cannot_be_is_refused_before_anything_is_asked(tmp_path):
    meter = Meter()
    (tmp_path / "file").write_text("")
    source = callable_reward("j", counting(meter), cache_dir=tmp_path / "file").source
    with pytest.raises(InputError, match=r"file: cannot be used as a cache"):
        source.score(batch_of("a"))
    assert meter.calls == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[1, 2]",
        lambda text: text.replace("0.1", "0.9"),
        lambda text: "\udcff",
    ],
    ids=("truncated", "empty", "another shape", "another score", "not text"),
)
def test_a_damaged_entry_is_reported_judged_again_and_mended(tmp_path, damage, caplog):
    meter = Meter()
    source = callable_reward("judge", counting(meter), cache_dir=tmp_path).source
    source.score(batch_of("a"))
    (entry,) = tmp_path.rglob("*.json")
    entry.write_text(damage(entry.read_text()), errors="surrogateescape")
    with caplog.at_level(logging.WARNING):
        assert source.score(batch_of("a")).values.tolist() == [np.float32(0.1)]
    assert meter.calls == 2 and f"{entry} is damaged" in caplog.text
    assert json.loads(entry.read_text())["score"] == 0.1
    source.score(batch_of("a"))
    assert meter.calls == 2


def test_an_entry_moved_under_another_key_is_not_believed(tmp_path):
    meter = Meter()
    source = callable_reward("judge", counting(meter), cache_dir=tmp_path).source
    source.score(batch_of("a"))
    (mine,) = tmp_path.rglob("*.json")
    source.score(batch_of("b"))
    (other,) = set(tmp_path.rglob("*.json")) - {mine}
    other.write_bytes(mine.read_bytes())
    source.score(batch_of("b"))
    assert meter.calls == 3


def test_what_was_scored_before_a_crash_is_not_asked_again(tmp_path):
    seen = []

    async def judge(prompt, response):
        seen.append(response)
        if response == "c" and len(seen) == 3:
            raise KeyboardInterrupt
        return 1.0

    source = callable_reward("j", judge, concurrency=1, cache_dir=tmp_path).source
    with pytest.raises(KeyboardInterrupt):
        source.score(batch_of("a", "b", "c", "d"))
    assert source.score(batch_of("a", "b", "c", "d")).present.all()
    assert seen == ["a", "b", "c", "c", "d"]
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


# -------------------------------------------------------------------- batched
def test_a_reward_function_written_for_trl_runs_unchanged():
    # The signature of TRL's documentation: keywords, dataset columns, **kwargs.
    def correct(prompts, completions, answer, **kwargs):
        return [
            None if a is None else float(c[0]["content"] == a)
            for c, a in zip(completions, answer, strict=True)
        ]

    reward = batched_reward("correct", correct, takes="messages")
    metadata = [{"answer": "4"}, {"answer": "5"}, {"answer": None}]
    scored = reward.source.score(batch_of("4", "4", "4", metadata=metadata))
    assert scored.values[:2].tolist() == [1, 0]
    assert scored.present.tolist() == [True, True, False]


def test_a_batched_function_gets_only_the_keywords_it_names():
    def judge(completions, references):
        return [float(r == c) for c, r in zip(completions, references, strict=True)]

    scored = batched_reward("j", judge).source.score(
        batch_of("a", "b", references=["a", "x"], metadata=[{"k": 1}, {"k": 2}])
    )
    assert scored.values.tolist() == [1, 0]


@pytest.mark.parametrize("answer", [[1.0], 1.0, "ab", {"a": 1, "b": 2}])
def test_a_batched_answer_of_another_count_is_absent_everywhere(answer):
    scored = batched_reward("j", lambda completions: answer).source.score(
        batch_of("a", "b")
    )
    assert not scored.present.any()
    assert scored.failures == {"wrong count": 2}


def test_a_batched_function_that_fails_is_tried_again_then_absent():
    calls = []

    async def judge(completions):
        calls.append(len(completions))
        raise ValueError("no")

    scored = quick(batched_reward("j", judge, retries=1)).score(batch_of("a", "b"))
    assert calls == [2, 2] and not scored.present.any()
    assert scored.explanations[1] == "absent: ValueError: no (2 tries)"


def test_a_batched_array_of_scores_is_taken_row_by_row():
    judge = lambda completions: np.array([1.0, np.nan])
    scored = batched_reward("j", judge).source.score(batch_of("a", "b"))
    assert scored.present.tolist() == [True, False]


def test_a_batched_function_is_asked_only_about_rows_not_in_the_cache(tmp_path):
    asked = []

    def judge(completions):
        asked.append(completions)
        return [float(len(c)) for c in completions]

    source = batched_reward("j", judge, cache_dir=tmp_path).source
    source.score(batch_of("a", "bb"))
    scored = source.score(batch_of("ccc", "a", "bb"))
    assert scored.values.tolist() == [3, 1, 2] and asked == [["a", "bb"], ["ccc"]]


def test_a_batched_function_that_misses_a_column_says_so():
    with pytest.raises(InputError, match=r"j: takes \(completions, answer\).*'answer'"):
        batched_reward("j", lambda completions, answer: []).source.score(batch_of("a"))


def test_an_interrupt_inside_a_running_loop_stops_the_calls_under_way():
    cancelled = []

    async def judge(prompt, response):
        if response == "first":
            await asyncio.sleep(0.05)
            raise KeyboardInterrupt
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(response)
            raise

    async def notebook():
        callable_reward("judge", judge).source.score(batch_of("first", "second"))

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(notebook())
    assert cancelled == ["second"] and time.monotonic() - started < 20


def test_waiting_interrupted_by_another_signal_cancels_the_work():
    cancelled = threading.Event()

    async def hang():
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    def interrupt(signum, frame):
        raise KeyboardInterrupt

    async def notebook():
        before = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        try:
            run_to_end(hang())
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(notebook())
    assert cancelled.wait(10)


def test_entries_are_written_side_by_side_without_holding_up_the_calls(tmp_path):
    meter = Meter()
    rows = [f"row {i}" for i in range(200)]
    reward = callable_reward("judge", counting(meter), cache_dir=tmp_path)
    reward.source.score(batch_of(*rows))
    scored = reward.source.score(batch_of(*rows))
    assert meter.calls == 200 and scored.present.all()
    assert len(list(tmp_path.rglob("*.json"))) == 200
