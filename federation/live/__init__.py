"""The live view: a local page that shows a run or a comparison while it goes, and plays it back.

Nothing here is imported unless ``--live`` or the command ``live`` asks for it, but for
:mod:`federation.live.view`, which is empty without them.
"""
