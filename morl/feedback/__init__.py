"""Feedback: records, readers, splits and batches."""

from morl.feedback.batches import Batch, bucket, bucketed_batches
from morl.feedback.finegrained_rlhf import read_finegrained_rlhf
from morl.feedback.halueval import read_halueval
from morl.feedback.hh import read_hh, read_hh_hub
from morl.feedback.hhh_alignment import read_hhh_alignment
from morl.feedback.jsonl import (
    Problem,
    check_jsonl,
    read_jsonl,
    stream_jsonl,
    write_jsonl,
)
from morl.feedback.records import (
    Labels,
    Message,
    Pair,
    Record,
    Span,
    plain_record,
)
from morl.feedback.reward_bench import (
    read_reward_bench,
    read_reward_bench_2,
    read_reward_bench_2_hub,
    read_reward_bench_hub,
)
from morl.feedback.rm_bench import read_rm_bench, read_rm_bench_hub
from morl.feedback.rows import Skipped, log_skipped
from morl.feedback.spans import TokenValues, step_values, token_values
from morl.feedback.splits import opening_key, prompt_key, split_by_prompt
from morl.feedback.summary import Summary, describe
from morl.feedback.tables import (
    PairTable,
    ScoreTable,
    labelled_pairs,
    limit_pairs,
    pair_table,
    score_table,
)
from morl.feedback.truthfulqa import read_truthfulqa, read_truthfulqa_all
from morl.feedback.unieval import read_unieval
from morl.feedback.xstest import read_xstest

__all__ = [
    "Batch",
    "Labels",
    "Message",
    "Pair",
    "PairTable",
    "Problem",
    "Record",
    "ScoreTable",
    "Skipped",
    "Span",
    "Summary",
    "TokenValues",
    "bucket",
    "bucketed_batches",
    "check_jsonl",
    "describe",
    "labelled_pairs",
    "limit_pairs",
    "log_skipped",
    "opening_key",
    "pair_table",
    "plain_record",
    "prompt_key",
    "read_finegrained_rlhf",
    "read_halueval",
    "read_hh",
    "read_hh_hub",
    "read_hhh_alignment",
    "read_jsonl",
    "read_reward_bench",
    "read_reward_bench_2",
    "read_reward_bench_2_hub",
    "read_reward_bench_hub",
    "read_rm_bench",
    "read_rm_bench_hub",
    "read_truthfulqa",
    "read_truthfulqa_all",
    "read_unieval",
    "read_xstest",
    "score_table",
    "split_by_prompt",
    "step_values",
    "stream_jsonl",
    "token_values",
    "write_jsonl",
]
