"""Feedback: records, readers, splits and batches."""

from morl.feedback.batches import Batch, bucket, bucketed_batches
from morl.feedback.halueval import read_halueval
from morl.feedback.hh import read_hh, read_hh_hub
from morl.feedback.records import (
    Labels,
    Message,
    Pair,
    Record,
    Span,
    plain_record,
)
from morl.feedback.rows import Skipped, log_skipped
from morl.feedback.splits import prompt_key, split_by_prompt
from morl.feedback.tables import (
    PairTable,
    ScoreTable,
    labelled_pairs,
    limit_pairs,
    pair_table,
    score_table,
)
from morl.feedback.truthfulqa import read_truthfulqa, read_truthfulqa_all

__all__ = [
    "Batch",
    "Labels",
    "Message",
    "Pair",
    "PairTable",
    "Record",
    "ScoreTable",
    "Skipped",
    "Span",
    "bucket",
    "bucketed_batches",
    "labelled_pairs",
    "limit_pairs",
    "log_skipped",
    "pair_table",
    "plain_record",
    "prompt_key",
    "read_halueval",
    "read_hh",
    "read_hh_hub",
    "read_truthfulqa",
    "read_truthfulqa_all",
    "score_table",
    "split_by_prompt",
]
