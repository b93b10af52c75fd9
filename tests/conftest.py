"""How hypothesis searches: the same examples in every run of `make test`, other ones in `make test-long`."""

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("steady")
