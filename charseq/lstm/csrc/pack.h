// Weights in the order in which tiles read them, or as a table whose rows symbols gather.
#pragma once

#include "products.h"

// How many numbers there are of a weight (of `order`, inputs), packed forward and backward.
template <typename Kind> Size packed_size(Order<Kind> order, Size inputs) {
    return order.columns() * round_up(inputs, Kind::Pair);
}
template <typename Kind> Size packed_size_backward(Order<Kind> order, Size inputs) {
    return order.columns() * round_up(inputs, Kind::Lanes);
}

// What one instruction takes of one weight's row.
template <typename Kind> struct Term {
    typename Kind::Part parts[Kind::Pair];
};

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
            for (Size start = 0; start < deep; start += Lanes * Pair) {
                // A square is read along its rows, then turned: along columns rows of a power of two
                // would drive each other out of the cache
                Term<Kind> square[Lanes][Lanes] = {};
                for (Size lane = 0; lane < Lanes; lane++)
                    if (const Size row = order.row(at + lane); row >= 0)
                        Kind::load_terms(square[lane][0].parts, weight + row * inputs + start, inputs - start);
                auto *to = (Term<Kind> *)(packed + panel * deep + (at - panel) * Pair + start * width);
                for (Size k = 0; k < Lanes && start + k * Pair < deep; k++)
                    for (Size lane = 0; lane < Lanes; lane++) to[k * width + lane] = square[lane][k];
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

// table (inputs, columns of `order`) = W^T + bias, which may be null: what each symbol says.
template <typename Kind>
void tabulate(const typename Kind::Real *weight, const typename Kind::Real *bias, Order<Kind> order,
              Size inputs, Size threads, typename Kind::Real *table) {
    constexpr Size Lanes = Kind::Lanes;
    const Size vectors = order.columns() / Lanes;
    in_parallel(threads < vectors ? threads : vectors, [&](Size rank, Size ranks) {
        const Share mine(vectors, rank, ranks);
        for (Size at = mine.from * Lanes; at < mine.to * Lanes; at += Lanes)
            for (Size start = 0; start < inputs; start += Lanes) {
                typename Kind::Real square[Lanes][Lanes] = {};
                for (Size lane = 0; lane < Lanes; lane++)
                    if (const Size row = order.row(at + lane); row >= 0) {
                        auto told = Kind::load_some(weight + row * inputs + start, inputs - start);
                        if (bias) told += bias[row];
                        Kind::store(square[lane], told);
                    }
                for (Size v = start; v < start + Lanes && v < inputs; v++)
                    for (Size lane = 0; lane < Lanes; lane++)
                        table[v * order.columns() + at + lane] = square[lane][v - start];
            }
    });
}
