"""Workers: starting, locking, talking to, timing and ending them."""
