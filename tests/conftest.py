"""One hypothesis profile for all tests: kernels compile inside the first example, so no deadline."""

from hypothesis import settings

settings.register_profile("taktwin", deadline=None)
settings.load_profile("taktwin")
