"""Trust under noise: which clinics to believe when every update is noised.

Pure numpy: detectors of malicious clinics, attacks on learning, the rules that others use, and
a prototype that compares them without messages.
"""

from strategies.trust.attacks import ATTACKS, Sight, attack_named
from strategies.trust.budget import FIRST_SHARE, noise_schedule
from strategies.trust.detector import Detector
from strategies.trust.judgement import Judgement
from strategies.trust.known_noise import KnownNoiseDetector
from strategies.trust.noise_free import NoiseFreeDetector
from strategies.trust.reasons import Reason
from strategies.trust.schedules import Schedule
from strategies.trust.settings import TrustError, TrustSettings

__all__ = [
    "ATTACKS",
    "FIRST_SHARE",
    "Detector",
    "Judgement",
    "KnownNoiseDetector",
    "NoiseFreeDetector",
    "Reason",
    "Schedule",
    "Sight",
    "TrustError",
    "TrustSettings",
    "attack_named",
    "noise_schedule",
]
