"""What data looked like when a model was judged, and the counting that later data is compared with it by.

One definition of bins serves the pull request, the command `drift`, the server's metrics and the rollout.
`columns` says which bin a value is in, `counting` counts, `document` is `profile.json`; `making` and `windows`, which
make a profile, are imported where they are used.
"""

from validator.artifact.read import PROFILE_FILE
from validator.profile.columns import CategoryColumn, Column, Floor, NumericColumn
from validator.profile.counting import Counts
from validator.profile.document import Profile, parse_profile, profile_json

__all__ = [
    "PROFILE_FILE",
    "CategoryColumn",
    "Column",
    "Counts",
    "Floor",
    "NumericColumn",
    "Profile",
    "parse_profile",
    "profile_json",
]
