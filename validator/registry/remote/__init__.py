"""A repository in an OCI registry, by the distribution protocol over httpx.

`repository` is what a repository can do, `session` one exchange after the other with retries and a deadline, `tokens`
how a registry's challenge is answered, `credentials` where a user's name and password are found.
"""
