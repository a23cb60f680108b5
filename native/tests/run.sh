#!/usr/bin/env bash
# Builds boundary_test with the library's sources, plainly and under each sanitizer, and runs it.
#
#   native/tests/run.sh                     plain, address, thread
#   native/tests/run.sh plain ulp           the plain build's exhaustive test of the activations
#   CXX=aarch64-linux-gnu-g++ RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" native/tests/run.sh plain
set -euo pipefail
cd "$(dirname "$0")/.."
CXX=${CXX:-g++}
folder=../build/native-tests/$("$CXX" -dumpmachine)
arguments=()
builds=()
for word in "$@"; do
    case $word in
    plain | address | thread) builds+=("$word") ;;
    *) arguments+=("$word") ;;
    esac
done
[ ${#builds[@]} -gt 0 ] || builds=(plain address thread)

declare -A flags=(
    [plain]="-O2"
    [address]="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
    [thread]="-O1 -g -fsanitize=thread"
)
declare -A default=([thread]=threads)
avx512="-mavx512f -mavx512dq -mfma"
bf16="$avx512 -mavx512bw -mavx512bf16"
declare -A sets=([amxbf16]="$bf16 -mamx-tile -mamx-bf16" [avx512bf16]="$bf16" [avx512]="$avx512" [avx2]="-mavx2 -mfma")
case $("$CXX" -dumpmachine) in
x86_64*) names=(amxbf16 avx512bf16 avx512 avx2) ;;
aarch64*) names=(neon) ;;
*) names=() ;;
esac

parts=(boundary_*.cpp)
parts=("${parts[@]%.cpp}")

for build in "${builds[@]}"; do
    out=$folder/$build
    mkdir -p "$out"
    common="-std=c++17 -fvisibility=hidden -ffp-contract=fast -Wall -Wextra -Wno-psabi -Wno-unknown-pragmas -pthread ${flags[$build]}"
    defined=""
    for name in "${names[@]}" plain threads "${parts[@]}"; do
        # shellcheck disable=SC2086
        "$CXX" $common ${sets[$name]:-} -c "$name.cpp" -o "$out/$name.o"
    done
    for name in "${names[@]}"; do defined+=" -DOSTINATO_${name^^}"; done
    # shellcheck disable=SC2086
    "$CXX" $common $defined boundary.cpp tests/boundary_test.cpp "$out"/*.o -o "$out/boundary_test"
    echo "== $build"
    # A sanitizer refuses memory by aborting, the library by an error: the tests ask for more than there is.
    ASAN_OPTIONS=allocator_may_return_null=1:detect_stack_use_after_return=1 TSAN_OPTIONS=halt_on_error=1:allocator_may_return_null=1 \
        ${RUNNER:-} "$out/boundary_test" "${arguments[@]:-${default[$build]:-all}}"
done
