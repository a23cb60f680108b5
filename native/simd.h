// Vectors of floats and doubles, as wide as the instruction set of the file that includes this.
//
// GCC's and Clang's vector extensions serve every instruction set with one source: the including file sets VECTOR_BYTES and
// is compiled with the flags of its set. Everything is in an unnamed namespace and no standard template is used, so that
// no function compiled for one set can be linked into another's path.
#pragma once

#include <stdint.h>
#include <string.h>

namespace {

typedef int64_t i64;

typedef float FloatVector __attribute__((vector_size(VECTOR_BYTES)));
typedef double DoubleVector __attribute__((vector_size(VECTOR_BYTES)));
typedef float FloatAnywhere __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef double DoubleAnywhere __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
typedef int32_t IntVector __attribute__((vector_size(VECTOR_BYTES)));

template <class T> struct Simd;

template <> struct Simd<float> {
    using V = FloatVector;
    using Anywhere = FloatAnywhere;
    static constexpr int width = VECTOR_BYTES / 4;
};

template <> struct Simd<double> {
    using V = DoubleVector;
    using Anywhere = DoubleAnywhere;
    static constexpr int width = VECTOR_BYTES / 8;
};

template <class T> inline typename Simd<T>::V load(const T* from) {
    return *reinterpret_cast<const typename Simd<T>::Anywhere*>(from);
}

template <class T> inline void store(T* to, typename Simd<T>::V value) {
    *reinterpret_cast<typename Simd<T>::Anywhere*>(to) = value;
}

// The first `count` lanes, zeros behind them; count < width.
template <class T> inline typename Simd<T>::V load_some(const T* from, int count) {
    typename Simd<T>::V value = {};
    memcpy(&value, from, sizeof(T) * count);
    return value;
}

template <class T> inline void store_some(T* to, typename Simd<T>::V value, int count) {
    memcpy(to, &value, sizeof(T) * count);
}

template <class T> inline typename Simd<T>::V spread(T value) {
    return typename Simd<T>::V{} + value;
}

// `WHOLE`: all lanes; else the first `count`.
template <bool WHOLE, class T> inline typename Simd<T>::V get(const T* from, int count) {
    return WHOLE ? load(from) : load_some(from, count);
}

template <bool WHOLE, class T> inline void put(T* to, typename Simd<T>::V value, int count) {
    if (WHOLE) store(to, value);
    else store_some(to, value, count);
}

}  // namespace
