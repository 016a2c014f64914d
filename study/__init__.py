"""The scalability study: how throughput grows with concurrent slots, in the mesh and in the original's design.

    ladder --steps--> runner --a process a run--> record: scaling.csv, scaling.json --> plots: *.png
                                                                                        diagram: system-diagram.png

For each number of slots the mesh (`zsms run`: separate processes) and the baseline (one process, an asyncio.Queue, a
task a slot) send 10 messages a slot, in turn. The whole ladder is climbed again for every repeat, so that what
drifts in the machine touches every step alike. The charts show medians, and bands from the lowest run to the highest.

**Which throughput is plotted.** Every sender begins in the same moment and nothing is done for about a mean send;
at the end the slots run dry one after the other. Both cost about half a second each of a run of ten, and say nothing
about what the system can do. So a run counts with its *steady* throughput where it has one:

- from when all slots send (or a mean send after the first, if that takes longer) until the last time that a message was
  begun while others waited;
- the share of slot time in it that lies within the asked time of a send, and the throughput that goes with it. That is
  exact for any delay and any number of rounds (:mod:`zsms.stats.steady`; the baseline keeps to the same rule).

Where the mesh's producer is the limit, slots empty the queue as fast as it fills, and there is no such window. It is
not used below `record.STEADY_S` seconds or `record.STEADY_SHARE` of the run, nor when one of a step's repeats has none.
Such a step counts with its *overall* throughput, from the first message accepted to the last one settled, corrected
for nothing, so it is told a little too low, by the first and the last second.

Efficiency is that throughput by the one that the slots would reach if they never idled: throughput x mean send time /
slots. With a mean of 1 s it is the original study's per-sender throughput.
"""
