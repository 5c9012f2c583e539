"""Every setting of charseq: its name, type, bound, default, unit and one-line doc.

This is the only place where a default stands. The same fields make the errors, the JSON Schema, the
comments that ``charseq init`` writes and the tables in ``docs/config.md``.
"""

from charseq.config.schema.lm import LMConfig
from charseq.config.schema.section import Section
from charseq.config.schema.seq2seq import Seq2SeqConfig

Config = LMConfig | Seq2SeqConfig

TASKS: dict[str, type[LMConfig] | type[Seq2SeqConfig]] = {"lm": LMConfig, "seq2seq": Seq2SeqConfig}
"""The configuration of each task, by the name that ``task:`` gives it."""

DEFAULT_TASK = "lm"  # of a file that does not say

__all__ = ["DEFAULT_TASK", "TASKS", "Config", "LMConfig", "Section", "Seq2SeqConfig"]
