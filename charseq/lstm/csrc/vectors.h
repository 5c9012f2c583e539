// Vectors of numbers, and what a sum of products is made of.
//
// They are written with the vector extension of GCC and Clang, which becomes whatever instructions
// the flags allow, down to plain ones. A tile of sums is `Rows` by `Columns` vectors, and lives in
// registers: 24 of the 32 of AVX-512, 12 of the 16 of AVX2.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define INLINE inline __attribute__((always_inline))

using Size = int64_t;

#if defined(__AVX512F__)
constexpr int VectorBytes = 64, Rows = 6;
#elif defined(__AVX2__)
constexpr int VectorBytes = 32, Rows = 3;
#else
constexpr int VectorBytes = 16, Rows = 3;
#endif
constexpr int Columns = 4;  // the four gates of a vector of units, or four vectors of units
constexpr Size Depth = 128; // terms of a sum, then the next rows: such weights stay in the cache
// Weights of more terms are not in a core's own cache any more, which is smaller where vectors are
constexpr Size NearDepth = VectorBytes == 64 ? 512 : 256;

// After stores past the caches: another thread that is told of them will see them.
INLINE void finish_stores() {
#if defined(__AVX2__)
    _mm_sfence();
#endif
}

// What a kind of arithmetic has to say: `Real` is what sums and states are, `Part` what is multiplied,
// `Pair` how many terms of a sum one instruction takes.
template <typename Number> struct Plain {
    using Real = Number;
    using Part = Number;
    typedef Real Vector __attribute__((vector_size(VectorBytes)));
    typedef Real Loose __attribute__((vector_size(VectorBytes), aligned(sizeof(Real)), may_alias));
    static constexpr Size Lanes = VectorBytes / sizeof(Real);
    static constexpr Size Pair = 1;

    static INLINE Vector load(const Real *p) { return Vector(*(const Loose *)p); }
    static INLINE void store(Real *p, Vector v) { *(Loose *)p = Loose(v); }
    // Straight to memory: p is aligned to a vector
    static INLINE void store_past_caches(Real *p, Vector v) {
#if defined(__AVX512F__)
        _mm512_stream_si512((__m512i *)p, (__m512i)v);
#elif defined(__AVX2__)
        _mm256_stream_si256((__m256i *)p, (__m256i)v);
#else
        store(p, v);
#endif
    }
    // The first `count` numbers, where there are fewer than Lanes, then zeros
    static INLINE Vector load_some(const Real *p, Size count) {
        if (count >= Lanes) return load(p);
        Vector v{};
        if (count > 0) std::memcpy(&v, p, size_t(count) * sizeof(Real));
        return v;
    }
    static INLINE void store_some(Real *p, Vector v, Size count) {
        if (count >= Lanes)
            store(p, v);
        else
            std::memcpy(p, &v, size_t(count) * sizeof(Real));
    }
    // `Pair` terms of Lanes sums; of a row, and of weights
    static INLINE Vector load_weights(const Part *p) { return load(p); }
    static INLINE Real load_row(const Part *p) { return *p; }
    static INLINE Vector multiply_add(Vector sum, Real row, Vector weights) { return sum + row * weights; }
    static INLINE Part to_part(Real x) { return x; }
    static INLINE void store_terms(Part *p, Vector v, Vector) { store(p, v); }
    // `Pair` vectors of a row, of which `count` numbers are there, then zeros
    static INLINE void load_terms(Part *p, const Real *from, Size count) { store(p, load_some(from, count)); }
};

using Float = Plain<float>;
using Double = Plain<double>;

#if defined(__AVX512BF16__)
// Products of bfloat16, two at a time, summed in float.
struct Bfloat16 : Plain<float> {
    using Part = uint16_t;
    static constexpr Size Pair = 2;

    static INLINE __m512bh load_weights(const Part *p) { return (__m512bh)_mm512_loadu_si512(p); }
    static INLINE __m512bh load_row(const Part *p) {
        int pair;
        std::memcpy(&pair, p, sizeof pair);
        return (__m512bh)_mm512_set1_epi32(pair);
    }
    static INLINE Vector multiply_add(Vector sum, __m512bh row, __m512bh weights) {
        return (Vector)_mm512_dpbf16_ps((__m512)sum, row, weights);
    }
    // The nearest bfloat16, ties to even
    static INLINE void store_parts(Part *p, Vector v) {
        _mm256_storeu_si256((__m256i_u *)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
    }
    // Those of two rows, side by side
    static INLINE void store_terms(Part *p, Vector one, Vector two) {
        const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)one));
        const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)two));
        _mm512_storeu_si512(p, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
    static INLINE void load_terms(Part *p, const Real *from, Size count) {
        for (Size at = 0; at < Pair * Lanes; at += Lanes)
            store_parts(p + at, load_some(from + at, count - at));
    }
    // `count` numbers, and zeros up to `to`
    static INLINE void copy_parts(Part *p, const float *from, Size count, Size to) {
        Size i = 0;
        for (; i + Lanes <= count; i += Lanes) store_parts(p + i, load(from + i));
        for (; i < to; i++) p[i] = i < count ? to_part(from[i]) : Part(0);
    }
    static INLINE Part to_part(float x) {
        Part parts[Lanes];
        store_parts(parts, Vector{} + x);
        return parts[0];
    }
};
#endif

// Work on `count` vectors, four at a time and then each alone: four keep in step, so that an instruction
// of one is not waited for before the next begins. `work(number, first)` has the number as a constant.
template <typename Work> INLINE void by_four(Size count, Work work) {
    Size first = 0;
    for (; first + 4 <= count; first += 4) work(std::integral_constant<int, 4>(), first);
    for (; first < count; first++) work(std::integral_constant<int, 1>(), first);
}

// 2^y = scale (1 + rest), where scale is a power of two: y = n + r with n whole and |r| <= 1/2, scale =
// 2^n, rest = 2^r - 1. So 2^y - 1 keeps its digits also near y = 0. Of a y beyond 126, one way or the
// other, that of 126 is taken. In float; good to 2e-7 of rest.
template <typename Kind, int count> struct PowersOfTwo {
    using Vector = typename Kind::Vector;
    Vector scale[count], rest[count];

    explicit INLINE PowersOfTwo(const Vector (&exponents)[count]) {
        const Vector highest = Vector{} + 126, lowest = Vector{} - 126;
        Vector y[count], r[count], p[count];
        // Of two where one is not a number, these take the second
#if defined(__AVX512DQ__)
        for (int v = 0; v < count; v++)
            y[v] = (Vector)_mm512_max_ps((__m512)lowest, (__m512)exponents[v]);
        for (int v = 0; v < count; v++) y[v] = (Vector)_mm512_min_ps((__m512)highest, (__m512)y[v]);
        // y less the nearest whole number
        for (int v = 0; v < count; v++) r[v] = (Vector)_mm512_reduce_ps((__m512)y[v], 8);
        for (int v = 0; v < count; v++)
            scale[v] = (Vector)_mm512_scalef_ps(_mm512_set1_ps(1), (__m512)(y[v] - r[v]));
#else
        typedef int32_t Ints __attribute__((vector_size(VectorBytes)));
#if defined(__AVX2__) && !defined(__AVX512F__)
        for (int v = 0; v < count; v++) y[v] = (Vector)_mm256_max_ps((__m256)lowest, (__m256)exponents[v]);
        for (int v = 0; v < count; v++) y[v] = (Vector)_mm256_min_ps((__m256)highest, (__m256)y[v]);
#else
        for (int v = 0; v < count; v++) y[v] = highest < exponents[v] ? highest : exponents[v];
        for (int v = 0; v < count; v++) y[v] = lowest > y[v] ? lowest : y[v];
#endif
        // Adding 1.5 * 2^23 rounds y to a whole number, in the lowest bits
        Vector shifted[count];
        for (int v = 0; v < count; v++) shifted[v] = y[v] + 12582912.0f;
        for (int v = 0; v < count; v++) r[v] = y[v] - (shifted[v] - 12582912.0f);
        for (int v = 0; v < count; v++) scale[v] = (Vector)(((Ints)shifted[v] << 23) + 0x3f800000);
#endif
        // (2^r - 1) / r: from the polynomial of degree 6 with the least relative error for 2^r
        for (int v = 0; v < count; v++) p[v] = r[v] * 0.000153458118f + 0.00133999314f;
        for (int v = 0; v < count; v++) p[v] = p[v] * r[v] + 0.00961848896f;
        for (int v = 0; v < count; v++) p[v] = p[v] * r[v] + 0.0555032878f;
        for (int v = 0; v < count; v++) p[v] = p[v] * r[v] + 0.240226469f;
        for (int v = 0; v < count; v++) p[v] = p[v] * r[v] + 0.693147206f;
        for (int v = 0; v < count; v++) rest[v] = p[v] * r[v];
    }
    INLINE Vector power(int v) const { return scale[v] * rest[v] + scale[v]; }
    // Where it is e^-x, and where it is e^-2x
    INLINE Vector sigmoid(int v) const { return 1 / (1 + power(v)); }
    INLINE Vector tanh(int v) const {
        const Vector less_one = scale[v] * rest[v] + (scale[v] - 1);
        return -less_one / (2 + less_one);
    }
};

constexpr float LogTwoE = 1.44269504088896341f; // log2(e)

// The nonlinearities, of vectors in place: in double the library's, in float good to a few roundings. Not
// a number stays so.
template <typename Kind, int count> INLINE void exponential(typename Kind::Vector (&x)[count]) {
    if constexpr (sizeof(typename Kind::Real) == 8) {
        for (int v = 0; v < count; v++)
            for (Size lane = 0; lane < Kind::Lanes; lane++) x[v][lane] = std::exp(x[v][lane]);
    } else {
        for (int v = 0; v < count; v++) x[v] *= LogTwoE;
        const PowersOfTwo<Kind, count> e(x);
        for (int v = 0; v < count; v++) x[v] = e.power(v);
    }
}

template <typename Kind, int count> INLINE void tanh(typename Kind::Vector (&x)[count]) {
    if constexpr (sizeof(typename Kind::Real) == 8) {
        for (int v = 0; v < count; v++)
            for (Size lane = 0; lane < Kind::Lanes; lane++) x[v][lane] = std::tanh(x[v][lane]);
    } else {
        for (int v = 0; v < count; v++) x[v] *= -2 * LogTwoE;
        const PowersOfTwo<Kind, count> e(x);
        for (int v = 0; v < count; v++) x[v] = e.tanh(v);
    }
}

// The sigmoid of z_i, z_f and z_o, and tanh of z_g
template <typename Kind> INLINE void squash(typename Kind::Vector (&z)[4]) {
    if constexpr (sizeof(typename Kind::Real) == 8) {
        for (int v = 0; v < 4; v++)
            for (Size lane = 0; lane < Kind::Lanes; lane++)
                z[v][lane] = v == 2 ? std::tanh(z[v][lane]) : 1 / (1 + std::exp(-z[v][lane]));
    } else {
        for (int v = 0; v < 4; v++) z[v] *= v == 2 ? -2 * LogTwoE : -LogTwoE;
        const PowersOfTwo<Kind, 4> e(z);
        for (int v = 0; v < 4; v++) z[v] = v == 2 ? e.tanh(v) : e.sigmoid(v);
    }
}

// e^x of numbers that are not above 0, in double to a rounding or two; the library's takes them one at
// a time. x = n ln 2 + r with n whole and |r| <= ln(2) / 2; n times the first of two parts of ln 2 is exact.
INLINE Double::Vector exponential_of_double(Double::Vector x) {
    using Vector = Double::Vector;
    typedef uint64_t Bits __attribute__((vector_size(VectorBytes)));
    const Vector lowest = Vector{} - 708;
    const Vector y = x < lowest ? lowest : x;
    // Adding 1.5 * 2^52 rounds to a whole number, in the lowest bits
    const Vector shifted = y * 1.4426950408889634 + 6755399441055744.0;
    const Vector n = shifted - 6755399441055744.0;
    const Vector r = (y - n * 0x1.62e42fefa38p-1) - n * 0x1.ef35793c7673p-45;
    // Taylor: the term that is left out is below 1e-17
    Vector p = r * (1 / 6227020800.0) + 1 / 479001600.0;
    p = p * r + 1 / 39916800.0;
    p = p * r + 1 / 3628800.0;
    p = p * r + 1 / 362880.0;
    p = p * r + 1 / 40320.0;
    p = p * r + 1 / 5040.0;
    p = p * r + 1 / 720.0;
    p = p * r + 1 / 120.0;
    p = p * r + 1 / 24.0;
    p = p * r + 1 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1;
    p = p * r + 1;
    const Vector scale = (Vector)(((Bits)shifted << 52) + 0x3ff0000000000000); // 2^n
    return x < lowest ? Vector{} : p * scale;
}
