#define VECTOR_BYTES 64
#define REGISTERS 32
#define HALF
#define TABLE avx512bf16_table
#define NAME "avx512bf16"
#define SUPPORTED __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512bf16")
#include "kernels.h"
