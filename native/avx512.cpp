#define VECTOR_BYTES 64
#define REGISTERS 32
#define TABLE avx512_table
#define NAME "avx512"
#define SUPPORTED __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma")
#include "kernels.h"
