"""Flower strategies that wrap any other Flower strategy, one concern each."""
