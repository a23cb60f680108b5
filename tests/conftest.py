"""What every test starts from: one thread, and Ctrl-C as in a terminal."""

import os
import signal

# The workers share the cores, and torch's threads wait for each other by spinning.
os.environ["OMP_NUM_THREADS"] = "1"
# A shell that starts a job in the background has it ignore Ctrl-C, and its children too.
signal.signal(signal.SIGINT, signal.default_int_handler)
