"""Figures against peers, each measured in one run; ratios travel, absolute times do not."""
