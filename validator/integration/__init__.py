"""The integration test of what was published: it is fetched, served, asked, counted, ended and rolled back.

The gate judged a file; this tries what users will meet, a server that was started from the published artifact.
`asking` is one server and what it answers, `checks` what is tried on it, `rehearsal` the rollback before HAProxy,
`run` the order of all, `report` what people read.
"""
