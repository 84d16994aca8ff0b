"""The networks of pocket."""
