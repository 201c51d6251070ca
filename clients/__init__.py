"""What a client does: train on its own records, clip and noise before anything leaves."""
