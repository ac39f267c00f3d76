"""Performance as ratios: against a peer or a bound in the same run, never as an absolute time to pass or fail.

`make bench` runs every module of this package that has a `main()`; each prints its own lines.
"""
