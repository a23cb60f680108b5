#!/usr/bin/env bash
# Everything that needs a GPU: the tests marked gpu, then the benchmark. bash tools/gpu_checks.sh [PYTHON]
# Writes runs/gpu/tests.log and runs/gpu/benchmark.jsonl below the current folder, or below GPU_CHECKS.
set -uo pipefail
python=${1:-python3}
home=$(cd "$(dirname "$0")/.." && pwd)
logs=${GPU_CHECKS:-runs/gpu}
mkdir -p "$logs"
export PYTHONPATH="$home${PYTHONPATH:+:$PYTHONPATH}"
"$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available() and "torch sees no GPU here")' || exit 1
(cd "$home" && "$python" -m pytest -m gpu -W default -p no:benchmark -n "${GPU_WORKERS:-6}" --dist worksteal --tb=short tests/test_gpu.py) 2>&1 | tee "$logs/tests.log"
tests=$?
"$python" "$home/benchmarks/gpu.py" ${GPU_BENCHMARK:-} | tee "$logs/benchmark.jsonl"
benchmark=$?
echo "tests: exit $tests; benchmark: exit $benchmark"
exit $((tests || benchmark))
