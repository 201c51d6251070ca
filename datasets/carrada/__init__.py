"""CARRADA: automotive radar frames with labelled objects, read, generated and sent as payloads.

Ouaknine et al., "CARRADA Dataset: Camera and Automotive Radar with Range-Angle-Doppler
Annotations", ICPR 2020. The data set is not shipped; `generator` writes one of the same format.
"""
