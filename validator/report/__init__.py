"""What a run found, for readers: Markdown, HTML, JUnit XML and the terminal.

Pure: `GateResult` in, text out; no clock, no disk, no network. Every text of a result is untrusted (it may
have been uploaded by a fork) and is escaped by default, see `escape`.
"""
