"""Separate machines, on Flower: keys, server, client, submit and doctor."""
