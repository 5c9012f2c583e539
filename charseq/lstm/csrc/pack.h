// Weights in the order in which tiles read them, and the gradient of a row gather.
#pragma once

#include "products.h"

// W for x W^T: for each four vectors of its rows, in `order`, a panel (inputs, vectors, Lanes). Of an
// LSTM these are the gates of a block of units.
template <typename Kind>
void pack_forward(const typename Kind::Real *weight, Order<Kind> order, Size inputs, Size threads,
                  typename Kind::Part *packed) {
    constexpr Size Lanes = Kind::Lanes, Pair = Kind::Pair, Wide = Columns * Lanes;
    const Size deep = round_up(inputs, Pair), vectors = order.columns() / Lanes;
    in_parallel(threads < vectors ? threads : vectors, [&](Size rank, Size ranks) {
        const Share mine(vectors, rank, ranks);
        for (Size at = mine.from * Lanes; at < mine.to * Lanes; at += Lanes) {
            const Size panel = at / Wide * Wide, rest = order.columns() - panel;
            const Size width = rest < Wide ? rest : Wide;
            for (Size start = 0; start < deep; start += Lanes) {
                // A square is read along its rows, then turned: along columns rows of a power of two
                // would drive each other out of the cache
                typename Kind::Real square[Lanes][Lanes] = {};
                for (Size lane = 0; lane < Lanes; lane++)
                    if (const Size row = order.row(at + lane); row >= 0)
                        Kind::store(square[lane],
                                    Kind::load_some(weight + row * inputs + start, inputs - start));
                auto *to = packed + panel * deep + (at - panel) * Pair;
                for (Size k = start; k < start + Lanes && k < deep; k++)
                    for (Size lane = 0; lane < Lanes; lane++)
                        to[k / Pair * width * Pair + lane * Pair + k % Pair] =
                            Kind::to_part(square[lane][k - start]);
            }
        }
    });
}

// The same for d_z W: for each four vectors of inputs a panel (rows of W in `order`, vectors, Lanes).
template <typename Kind>
void pack_backward(const typename Kind::Real *weight, Order<Kind> order, Size inputs, Size threads,
                   typename Kind::Part *packed) {
    constexpr Size Lanes = Kind::Lanes, Pair = Kind::Pair, Wide = Columns * Lanes;
    const Size deep = order.columns(), panels = round_up(inputs, Wide) / Wide;
    in_parallel(threads < panels ? threads : panels, [&](Size rank, Size ranks) {
        const Share mine(panels, rank, ranks);
        for (Size column = mine.from * Wide; column < mine.to * Wide && column < inputs; column += Wide) {
            const Size width = round_up(inputs - column < Wide ? inputs - column : Wide, Lanes);
            auto *to = packed + column * deep;
            for (Size at = 0; at < deep; at += Pair) {
                const Size one = order.row(at), two = Pair > 1 ? order.row(at + 1) : -1;
                for (Size v = 0; v < width; v += Lanes, to += Lanes * Pair) {
                    const auto of_row = [&](Size row) {
                        return row < 0 ? typename Kind::Vector{}
                                       : Kind::load_some(weight + row * inputs + column + v,
                                                         inputs - column - v);
                    };
                    Kind::store_terms(to, of_row(one), of_row(two));
                }
            }
        }
    });
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
