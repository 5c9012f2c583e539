// Rows times packed weights, a tile at a time.
//
// Packed weights are panels of up to four vectors. In a panel the numbers of each k stand together;
// of bfloat16 those of k and k + 1 alternate, as the instruction wants them. A sum is taken in the
// order of k, so a row comes out the same to the bit whatever rows stand beside it; of many terms in
// blocks, each begun at zero, since rounding errors grow with the length of what is summed in one go.
#pragma once

#include "vectors.h"

template <typename Kind>
using TileFunction = void (*)(Size, const typename Kind::Part *const *, Size, const typename Kind::Part *,
                              typename Kind::Real *const *, const typename Kind::Real *const *,
                              const typename Kind::Part *);

// sums[r] = a[r] · b + from[r] over `depth` terms, `from` may be `sums`, or null for zeros. What one
// instruction takes of a[r] stands `step` apart. Where `fetches`, two vectors of `next` for each
// instruction's terms are brought near for later.
template <typename Kind, int rows, int columns, bool fetches = false>
void tile(Size depth, const typename Kind::Part *const *a, Size step, const typename Kind::Part *b,
          typename Kind::Real *const *sums, const typename Kind::Real *const *from,
          const typename Kind::Part *next) {
    using Vector = typename Kind::Vector;
    Vector sum[rows][columns];
    const typename Kind::Part *row[rows];
    for (int r = 0; r < rows; r++) {
        row[r] = a[r];
        for (int v = 0; v < columns; v++) {
            sum[r][v] = Vector{};
            __builtin_prefetch(sums[r] + v * Kind::Lanes, 1);
            if (from && from != sums) __builtin_prefetch(from[r] + v * Kind::Lanes);
        }
    }
    for (Size k = 0, at = 0; k < depth; k += Kind::Pair, at += step) {
        decltype(Kind::load_weights(b)) weights[columns];
        for (int v = 0; v < 2 && fetches; v++)
            __builtin_prefetch(next + (2 * k + v * Kind::Pair) * Kind::Lanes, 0, 2);
#pragma GCC unroll 4
        for (int v = 0; v < columns; v++)
            weights[v] = Kind::load_weights(b + (k * columns + v * Kind::Pair) * Kind::Lanes);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            const auto terms = Kind::load_row(row[r] + at);
#pragma GCC unroll 4
            for (int v = 0; v < columns; v++)
                sum[r][v] = Kind::multiply_add(sum[r][v], terms, weights[v]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < columns; v++) {
            if (from) sum[r][v] += Kind::load(from[r] + v * Kind::Lanes);
            Kind::store(sums[r] + v * Kind::Lanes, sum[r][v]);
        }
}

template <typename Kind, int rows> TileFunction<Kind> tile_of(int columns, bool fetches) {
    switch (columns) {
    case 1: return tile<Kind, rows, 1>;
    case 2: return tile<Kind, rows, 2>;
    case 3: return tile<Kind, rows, 3>;
    default: return fetches ? tile<Kind, rows, 4, true> : tile<Kind, rows, 4>;
    }
}

template <typename Kind> TileFunction<Kind> tile_of(Size rows, int columns, bool fetches = false) {
    switch (rows) {
    case 1: return tile_of<Kind, 1>(columns, fetches);
    case 2: return tile_of<Kind, 2>(columns, fetches);
    case 3: return tile_of<Kind, 3>(columns, fetches);
#if defined(__AVX512F__)
    case 4: return tile_of<Kind, 4>(columns, fetches);
    case 5: return tile_of<Kind, 5>(columns, fetches);
    case 6: return tile_of<Kind, 6>(columns, fetches);
#endif
    }
    return nullptr;
}

// The same for any number of rows, in tiles of nearly equal height, `Depth` terms at a time. Weights
// that are large do not stay in a core's own cache from one call to the next: so the first two tiles
// fetch the next block of them, a half each.
template <typename Kind>
void multiply(Size rows, int columns, Size depth, const typename Kind::Part *const *a,
              const typename Kind::Part *b, typename Kind::Real *const *sums,
              const typename Kind::Real *const *from) {
    const Size tiles = (rows + Rows - 1) / Rows;
    const bool fetches = columns == Columns && depth > NearDepth && tiles > 1;
    for (Size k = 0; k < depth; k += Depth) {
        const Size deep = depth - k < Depth ? depth - k : Depth;
        for (Size t = 0, row = 0; t < tiles; t++) {
            const Size height = rows / tiles + (t < rows % tiles);
            const typename Kind::Part *part[Rows];
            for (Size r = 0; r < height; r++) part[r] = a[row + r] + k;
            const typename Kind::Real *const *start =
                k ? (const typename Kind::Real *const *)sums + row : from ? from + row : nullptr;
            tile_of<Kind>(height, columns, fetches && t < 2)(
                deep, part, Kind::Pair, b + k * columns * Kind::Lanes, sums + row, start,
                b + ((k + Depth) * columns + t * 2 * Depth) * Kind::Lanes);
            row += height;
        }
    }
}
