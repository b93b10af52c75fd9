"""What changed since the base version: size, speed, answers."""
