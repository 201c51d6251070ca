"""Launching and comparing: command line, presets, backends, results, reports."""
