"""What the doctor found."""

from __future__ import annotations

from tfopt.records.diagnosis import DiagnosisRecord, Finding

from .harmful import HOSTILE


def diagnosis(*, sound: bool = False) -> DiagnosisRecord:
    """What the doctor found: one problem in an odd file, notes with and without a command; or nothing at all."""
    fine = [
        Finding(id="packages.versions", status="ok", found="Python 3.11.7, TensorFlow 2.21.0, Keras 3.15.1"),
        Finding(id="packages.requirements", status="ok", found="every package has what it requires"),
        Finding(id="machine.memory", status="ok", found="24.5 GB of 25.3 GB memory free"),
    ]
    bad = [
        Finding(
            id="packages.shadows",
            status="problem",
            found=f"import tensorflow loads {''.join(HOSTILE.values())}.py, not the installed tensorflow 2.21.0",
            mend="mv 'a folder with a long name/and another one/tensorflow.py' 'a folder with a long name/my_tf.py'",
        ),
        Finding(
            id="machine.processors",
            status="note",
            found="the container allows 1.5 of 8 processors, yet TensorFlow starts 8 threads: times are uneven",
            mend="tfopt profile MODEL --threads 1",
        ),
        Finding(id="machine.half_precision", status="note", found="no instructions for bfloat16 or float16"),
        Finding(id="gpu.seen", status="unknown", found="TensorFlow could not list its devices"),
    ]
    return DiagnosisRecord(
        target="logs/=cmd()|`x" if sound else None,
        findings=tuple(fine if sound else [*fine, *bad]),
        started_at="2026-11-20T09:31:07+00:00",
        tfopt="0.1.0",
        command="tensorboard --logdir 'logs/=cmd()|`x'" if sound else "",
    )
