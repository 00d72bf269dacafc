"""What tfopt knows: frozen, typed records without TensorFlow, files or terminals inside."""

from tfopt.records.base import Note as Note
from tfopt.records.base import Record as Record
from tfopt.records.difference import DifferenceRecord as DifferenceRecord
from tfopt.records.profile import ProfileRecord as ProfileRecord
from tfopt.records.trace import TraceRecord as TraceRecord
from tfopt.records.trace_difference import TraceDifferenceRecord as TraceDifferenceRecord
