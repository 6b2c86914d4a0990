"""Hypothesis profiles of this folder: `fast`, and with HYPOTHESIS_PROFILE=deep fifty times the examples.

The deep one needs hours and no time limit: `pytest --timeout=0 tests/properties`.
"""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = 150
"""Of one property in the profile `fast`."""

_SLOW_ON_PURPOSE = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "fast", deadline=None, print_blob=True, max_examples=EXAMPLES, suppress_health_check=_SLOW_ON_PURPOSE
)
settings.register_profile(
    "deep", deadline=None, print_blob=True, max_examples=EXAMPLES * 50, suppress_health_check=_SLOW_ON_PURPOSE
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))
