"""Pocket 2: 256 px, several subjects, from Fluent Emoji 3D and Noto. What ships until its evaluation is better is pocket 1, beside this folder."""
