"""The supervisor's side of workers: processes, and the runtimes behind the one `Runtime` protocol."""
