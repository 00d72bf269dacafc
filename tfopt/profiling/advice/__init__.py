"""Advice: what to change, drawn from records by small rules. Loads no TensorFlow."""

from __future__ import annotations

from tfopt.profiling.advice.causes import causes as causes
