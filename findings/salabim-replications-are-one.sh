#!/usr/bin/env bash
# Ten replications of a salabim model are one, ten times: each new Environment begins the same random numbers, also those of Python's random.
#
# Seen with: salabim 26.0.9 (PyPI), 2026-11-28.
# One would guess: without a seed each run differs, as with SimPy, Ciw or numpy; a run per Environment in a loop gives ten samples, and a confidence
#   interval.
# Behaviour: Environment() seeds with 1234567 unless random_seed is given, and what it seeds is the random module of the whole process. All
#   replications are equal to the last digit; what the program has drawn or seeded with random itself starts anew, too. random_seed="*" makes runs
#   differ, "" leaves random as it is.
# What it means: the interval over ten runs has no width, and looks like a wonderfully exact plan; names or samples drawn with random.choice() beside the
#   model repeat. Give each Environment its own random_seed, and other draws a generator of their own.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install salabim==26.0.9 greenlet==3.5.6
cat > ask.py <<'END'
import random
import salabim

def waits(**options):
    """Mean wait of 200 alerts in a queue of one server."""
    environment = salabim.Environment(yieldless=False, **options)
    server, waited = salabim.Resource(capacity=1), []
    class Alert(salabim.Component):
        def process(self):
            begun = self.env.now()
            yield self.request(server)
            waited.append(self.env.now() - begun)
            yield self.hold(salabim.Exponential(0.8).sample())
    class Source(salabim.Component):
        def process(self):
            for _ in range(200):
                Alert()
                yield self.hold(salabim.Exponential(1).sample())
    Source()
    environment.run()
    return sum(waited) / len(waited)

print("Environment():", len({waits() for _ in range(10)}), "different means of 10")
print('Environment(random_seed="*"):', len({waits(random_seed="*") for _ in range(10)}), "different means of 10")
drawn = set()
for seed in range(10):
    random.seed(seed)
    salabim.Environment()
    drawn.add(random.random())
print("random.seed(0 to 9), Environment(), random.random():", len(drawn), "different of 10")
END
cat > expected <<'END'
Environment(): 1 different means of 10
Environment(random_seed="*"): 10 different means of 10
random.seed(0 to 9), Environment(), random.random(): 1 different of 10
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
