"""What a server keeps beyond its process: checkpoints of runs, and accounts by identity."""
