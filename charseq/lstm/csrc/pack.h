// Weights in the order in which tiles read them, and the gradient of a row gather.
#pragma once

#include "products.h"

// W (4 units, inputs) for x W^T: for each block of units a panel (inputs, 4 gates, Lanes).
template <typename Kind>
void pack_forward(const typename Kind::Real *weight, Size units, Size inputs, Size threads,
                  typename Kind::Part *packed) {
    constexpr Size Lanes = Kind::Lanes, Pair = Kind::Pair;
    const Size deep = round_up(inputs, Pair), blocks = round_up(units, Lanes) / Lanes;
    in_parallel(threads < blocks ? threads : blocks, [&](Size rank, Size ranks) {
        const Share mine(blocks, rank, ranks);
        for (Size u = mine.from * Lanes; u < mine.to * Lanes; u += Lanes)
            for (Size gate = 0; gate < 4; gate++)
                for (Size start = 0; start < deep; start += Lanes) {
                    // A square is read along its rows, then turned: along columns rows of a power of two
                    // would drive each other out of the cache
                    typename Kind::Real square[Lanes][Lanes] = {};
                    for (Size lane = 0; lane < Lanes && u + lane < units; lane++)
                        Kind::store(square[lane], Kind::load_some(weight + (gate * units + u + lane) * inputs + start,
                                                                  inputs - start));
                    auto *to = packed + 4 * deep * u + gate * Lanes * Pair;
                    for (Size k = start; k < start + Lanes && k < deep; k++)
                        for (Size lane = 0; lane < Lanes; lane++)
                            to[k / Pair * 4 * Lanes * Pair + lane * Pair + k % Pair] =
                                Kind::to_part(square[lane][k - start]);
                }
    });
}

// The same for d_z W: for each four vectors of inputs a panel (blocks, 4 gates, Lanes; inputs), where
// the order of the terms is that of the gates in memory.
template <typename Kind>
void pack_backward(const typename Kind::Real *weight, Size units, Size inputs, Size threads,
                   typename Kind::Part *packed) {
    constexpr Size Lanes = Kind::Lanes, Pair = Kind::Pair, Wide = Columns * Lanes;
    const Size wide = round_up(units, Lanes), panels = round_up(inputs, Wide) / Wide;
    in_parallel(threads < panels ? threads : panels, [&](Size rank, Size ranks) {
        const Share mine(panels, rank, ranks);
        for (Size column = mine.from * Wide; column < mine.to * Wide && column < inputs; column += Wide) {
            const Size width = round_up(inputs - column < Wide ? inputs - column : Wide, Lanes);
            auto *to = packed + column * 4 * wide;
            for (Size at = 0; at < 4 * wide; at += Pair) {
                const Size unit = at / (4 * Lanes) * Lanes + at % Lanes, gate = at / Lanes % 4;
                for (Size v = 0; v < width; v += Lanes, to += Lanes * Pair) {
                    const auto *from = weight + (gate * units + unit) * inputs + column + v;
                    const Size left = inputs - column - v;
                    const auto one = unit < units ? Kind::load_some(from, left) : typename Kind::Vector{};
                    const auto two = Pair > 1 && unit + 1 < units ? Kind::load_some(from + inputs, left)
                                                                  : typename Kind::Vector{};
                    Kind::store_terms(to, one, two);
                }
            }
        }
    });
}

// W (rows, inputs) for W x: for each four vectors of rows a panel (inputs, rows).
template <typename Kind>
void pack_rows(const typename Kind::Real *weight, Size rows, Size inputs, typename Kind::Part *to) {
    constexpr Size Lanes = Kind::Lanes, Pair = Kind::Pair, Wide = Columns * Lanes;
    for (Size row = 0; row < rows; row += Wide) {
        const Size width = round_up(rows - row < Wide ? rows - row : Wide, Lanes);
        for (Size k = 0; k < round_up(inputs, Pair); k += Pair)
            for (Size r = row; r < row + width; r++)
                for (Size p = 0; p < Pair; p++)
                    *to++ = r < rows && k + p < inputs ? Kind::to_part(weight[r * inputs + k + p])
                                                       : typename Kind::Part(0);
    }
}

// sums[ids[r]] += rows[r] for rows of `width`: each thread sums some of the columns, in the order of r.
template <typename Kind>
void sum_by_id(const typename Kind::Real *rows, const int64_t *ids, Size count, Size width, Size threads,
               typename Kind::Real *sums) {
    const Size vectors = width / Kind::Lanes;
    in_parallel(threads < vectors ? threads : vectors, [&](Size rank, Size ranks) {
        const Share mine(vectors, rank, ranks);
        for (Size r = 0; r < count; r++) {
            const auto *from = rows + r * width;
            auto *to = sums + ids[r] * width;
            for (Size v = mine.from * Kind::Lanes; v < mine.to * Kind::Lanes; v += Kind::Lanes)
                Kind::store(to + v, Kind::load(to + v) + Kind::load(from + v));
        }
    });
}
