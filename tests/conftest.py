"""One thread for every test: the workers share the cores, and torch's threads wait for each other by spinning."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
