// Sigmoid, its logarithm, hyperbolic tangent, and exp of numbers up to 0, within 4 units in the last place of float32; NaN in is
// NaN out.
#pragma once

#include <math.h>

#include "simd.h"

namespace {

// The C library's own: std::exp(float) would be a symbol shared between instruction sets.
inline float exponential(float x) { return __builtin_expf(x); }
inline double exponential(double x) { return __builtin_exp(x); }

inline FloatVector magnitude(FloatVector x) {
    return (FloatVector)((IntVector)x & 0x7fffffff);
}

// Splits z <= 0 into n ln 2 + r with |r| <= ln 2 / 2, and gives expm1(r). Coefficients: Cephes' expf (Moshier).
inline FloatVector reduced_expm1(FloatVector z, IntVector* n) {
    const float shift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number, which the low bits then hold
    const FloatVector shifted = z * 1.44269504088896341f + shift;
    *n = (IntVector)shifted - (IntVector)spread(shift);
    const FloatVector whole = shifted - shift;
    FloatVector r = z - whole * 0.693359375f;
    r = r + whole * 2.12194440e-4f;
    FloatVector p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return p * (r * r) + r;
}

inline FloatVector power_of_two(IntVector n) {
    return (FloatVector)((n + 127) << 23);
}

// exp(z) of z <= 0: never above 1, and precise where it is small.
inline FloatVector exponential(FloatVector z) {
    z = z < -104.0f ? spread(-104.0f) : z;  // below, exp is 0 in float32; a comparison with NaN is false and keeps it
    IntVector n;
    const FloatVector p = reduced_expm1(z, &n) + 1.0f;
    const IntVector half = n >> 1;  // in two factors: 2^n alone is no normal number below -126
    return p * power_of_two(half) * power_of_two(n - half);
}

// x >= 0: 1 / (1 + exp(-x)); x < 0: exp(x) / (1 + exp(x)). exp never overflows, and keeps its precision where it is small.
inline FloatVector sigmoid(FloatVector x) {
    const FloatVector e = exponential(-magnitude(x));
    const FloatVector top = x < 0.0f ? e : spread(1.0f);
    return top / (1.0f + e);
}

// log sigmoid x = min(x, 0) - log(1 + e), e = exp(-|x|); log(1 + e) = 2 artanh(s), s = e / (2 + e) <= 1/3, by its series.
inline FloatVector log_sigmoid(FloatVector x) {
    const FloatVector e = exponential(-magnitude(x));
    const FloatVector s = e / (2.0f + e), square = s * s;
    FloatVector p = square * (1.0f / 15) + (1.0f / 13);
    p = p * square + (1.0f / 11);
    p = p * square + (1.0f / 9);
    p = p * square + (1.0f / 7);
    p = p * square + (1.0f / 5);
    p = p * square + (1.0f / 3);
    const FloatVector smaller = x > 0.0f ? spread(0.0f) : x;  // so that NaN is kept
    return smaller - 2.0f * (p * (square * s) + s);
}

// tanh |x| = -m / (2 + m), m = exp(-2 |x|) - 1, which loses nothing near 0.
inline FloatVector hyperbolic_tangent(FloatVector x) {
    FloatVector z = -2.0f * magnitude(x);
    z = z < -40.0f ? spread(-40.0f) : z;
    IntVector n;
    const FloatVector p = reduced_expm1(z, &n);
    const FloatVector scale = power_of_two(n);
    const FloatVector m = p * scale + (scale - 1.0f);
    const FloatVector t = (0.0f - m) / (2.0f + m);  // 0 - m, so that 0 is +0: the sign is set below
    return (FloatVector)((IntVector)t | ((IntVector)x & (int32_t)0x80000000));
}

inline DoubleVector exponential(DoubleVector z) {
    for (int k = 0; k < Simd<double>::width; k++) z[k] = exp(z[k]);
    return z;
}

inline DoubleVector log_sigmoid(DoubleVector x) {
    for (int k = 0; k < Simd<double>::width; k++) x[k] = (x[k] > 0 ? 0.0 : x[k]) - log1p(exp(-fabs(x[k])));
    return x;
}

inline DoubleVector sigmoid(DoubleVector x) {
    for (int k = 0; k < Simd<double>::width; k++) {
        const double e = exp(-fabs(x[k]));
        x[k] = (x[k] < 0 ? e : 1.0) / (1.0 + e);
    }
    return x;
}

inline DoubleVector hyperbolic_tangent(DoubleVector x) {
    for (int k = 0; k < Simd<double>::width; k++) x[k] = tanh(x[k]);
    return x;
}

}  // namespace
