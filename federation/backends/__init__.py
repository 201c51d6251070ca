"""Where a federation runs: within this process, or on Flower's simulation runtime."""
