"""The scalability study: how throughput grows with concurrent slots, in the mesh and in the original's design.

    ladder --steps--> runner --a process a run--> record: scaling.csv, scaling.json --> plots: *.png
                                                                                        diagram: system-diagram.png

For each number of slots the mesh (`zsms run`: separate processes) and the baseline (one process, an asyncio.Queue, a
task a slot) send 10 messages a slot, in turn. The whole ladder is climbed again for every repeat, so that what
drifts in the machine touches every step alike. The charts show medians, and bands from the lowest run to the highest.

**Which throughput is plotted.** Every sender begins in the same moment and nothing is done for about a mean send;
at the end the slots run dry one after the other. Both cost about half a second each of a run of ten, and say nothing
about what the system can do. So a run counts with its *steady* throughput where it has one:

- the mesh's is measured while the broker's queue was not empty, from when half a send a slot was done
  (:class:`zsms.core.broker.Steady` gives the reason for the half);
- the baseline's is measured over whole rounds of sends while its queue was not empty, from the same moment on.

Where the producer is the limit, slots empty the queue as fast as it fills, and there is no such window, or one of
scraps between a batch's arrival and its grant, in which too few acknowledgements fall. A mesh's window is therefore not
used when it is shorter than `record.STEADY_S` seconds or `record.STEADY_SHARE` of the run, nor when it tells less than
the whole run does, ramp included, for that can't be. Such a run counts with its *overall* throughput, from the first
message accepted to the last one settled, corrected for nothing. (Better would be the messages settled between the
moment when half a send a slot is done and the one when the producers have finished, but a report does not hold them.)
Plateaus of the mesh are hence told a little too low, by the ramp of the first second.

Efficiency is that throughput by the one that the slots would reach if they never idled: throughput x mean send time /
slots. With a mean of 1 s it is the original study's per-sender throughput.
"""
