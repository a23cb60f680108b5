#define VECTOR_BYTES 32
#define REGISTERS 16
#define TABLE avx2_table
#define NAME "avx2"
#define SUPPORTED __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
#include "kernels.h"
