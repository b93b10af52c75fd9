"""The suites: each asks runtimes about a sample and gives check results. They know no files and no GitHub."""
