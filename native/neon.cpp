#define VECTOR_BYTES 16
#define REGISTERS 32
#define TABLE neon_table
#define NAME "neon"
#define SUPPORTED true
#include "kernels.h"
