#define VECTOR_BYTES 64
#define REGISTERS 32
#define HALF
#define TILES
#define TABLE amxbf16_table
#define NAME "amxbf16"
#define SUPPORTED __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512bf16") && tiles_are_allowed()
#include "kernels.h"
