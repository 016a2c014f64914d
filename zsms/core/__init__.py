"""The pure core: it knows no socket, thread, file or clock.

Every object here takes `now` (seconds of some monotonic clock) and arrays, and returns what to do. The same
objects run under the roles' real clock, under property tests, and under a virtual clock.
"""
