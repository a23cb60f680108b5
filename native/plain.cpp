#define VECTOR_BYTES 16
#define REGISTERS 16
#define TABLE plain_table
#define NAME "plain"
#define SUPPORTED true
#include "kernels.h"
