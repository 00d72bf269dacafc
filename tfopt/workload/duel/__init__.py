"""The duel: which of two programs is faster on this machine, told without being fooled by its noise."""

from tfopt.workload.duel.contest import DuelOutcome as DuelOutcome
from tfopt.workload.duel.contest import duel as duel
from tfopt.workload.duel.listening import BaselineHung as BaselineHung
from tfopt.workload.duel.listening import TooSlow as TooSlow
from tfopt.workload.workers.contestant import Contestant as Contestant
