"""Breast Cancer Wisconsin (Original): 699 biopsies, nine cytology grades, benign or malignant.

W. H. Wolberg and O. L. Mangasarian, PNAS 87 (1990) 9193-9196; UCI, DOI 10.24432/C5HP4Z, CC BY 4.0.
Origin, citations and what is odd about the data: README.md beside this file.
"""

from datasets.bcwd.original import SHA256
from datasets.bcwd.reader import BOUNDS, CLASSES, FEATURE_NAMES, load

__all__ = ["BOUNDS", "CLASSES", "FEATURE_NAMES", "SHA256", "load"]
