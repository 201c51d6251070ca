"""Secure aggregation: masked uploads of which the server learns the sum and nothing else.

K. Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning",
CCS 2017, Fig. 4; with a neighbour graph as in J. H. Bell et al., "Secure Single-Server
Aggregation with (Poly)Logarithmic Overhead", CCS 2020 (SecAgg+). No Flower in here.
"""
