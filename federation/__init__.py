"""Launching and comparing: command line, presets, backends, results, reports."""

import os

# Before numpy is imported: the matrices of a round are small, and BLAS threads that wait for the
# next product take as much of the processor again as the round itself.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
