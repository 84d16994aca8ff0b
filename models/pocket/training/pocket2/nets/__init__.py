"""Networks of pocket 2 that pocket 1 does not have."""
