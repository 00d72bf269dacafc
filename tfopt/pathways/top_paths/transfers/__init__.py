"""How ways lead through layers, from channel to channel."""

from tfopt.pathways.top_paths.transfers import applications, attention, diagonal, linear, merges, moves, refusals
from tfopt.pathways.top_paths.transfers.registry import (
    Call,
    Transfer,
    Unavailable,
    Units,
    log10,
    transfer,
    transfer_for,
)

__all__ = [
    "Call",
    "Transfer",
    "Unavailable",
    "Units",
    "applications",
    "attention",
    "diagonal",
    "linear",
    "log10",
    "merges",
    "moves",
    "refusals",
    "transfer",
    "transfer_for",
]
