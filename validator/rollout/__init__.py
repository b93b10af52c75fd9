"""Gradual rollout with rollback: traffic moves to a candidate only as far as measurements allow."""
