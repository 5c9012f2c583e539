// The products that do not wait for a state, over all time steps at once: the input projection, the
// three products of its backward pass, and those of the output layer.
#pragma once

#include <cstdlib>

#include "threads.h"
#include "tile.h"

// A block of memory that is freed at the end; `at` is null when there was none left.
template <typename Number> struct Scratch {
    Number *at = nullptr;
    explicit Scratch(Size count) {
        void *p;
        if (!posix_memalign(&p, 64, size_t(count > 0 ? count : 1) * sizeof(Number))) at = (Number *)p;
    }
    ~Scratch() { free(at); }
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;
};

inline Size round_up(Size n, Size to) { return (n + to - 1) / to * to; }

// In what order the rows of a weight (gates * units, inputs) stand as the columns of a product: by
// blocks of `Lanes` units, in a block by gates. An LSTM has four gates (layer.h), any other layer one.
template <typename Kind> struct Order {
    Size units, gates;

    Size columns() const { return gates * round_up(units, Kind::Lanes); }
    // The row of a column; -1 behind the units
    Size row(Size column) const {
        const Size unit = column / (gates * Kind::Lanes) * Kind::Lanes + column % Kind::Lanes;
        return unit < units ? column / Kind::Lanes % gates * units + unit : -1;
    }
};

// What a thread needs to multiply some rows (count, depth) by packed weights, at most `Some` at a time:
// so often is a panel of weights used once it has been fetched.
template <typename Kind> struct RowsTimesWeights {
    using Real = typename Kind::Real;
    using Part = typename Kind::Part;
    static constexpr Size Lanes = Kind::Lanes, Wide = Columns * Lanes, Some = 8 * Rows;

    Size depth, columns;
    const Part *weights;
    const Real *bias; // (columns), or null
    Size deep = round_up(depth, Kind::Pair);
    Scratch<Part> parts{Kind::Pair > 1 ? Some * deep : 0};
    Scratch<Real> ends{Some * Wide}; // the last columns, where they fill no vector

    bool has_memory() const { return parts.at && ends.at; }

    // out (count, columns) = a (count, depth) · weights + bias
    void operator()(Size count, const Real *a, Real *out) const {
        const Part *from[Some];
        Real *to[Some];
        const Real *start[Some];
        for (Size r = 0; r < count; r++) {
            if constexpr (Kind::Pair > 1) {
                Kind::copy_parts(parts.at + r * deep, a + r * depth, depth, deep);
                from[r] = parts.at + r * deep;
            } else {
                from[r] = a + r * depth;
            }
        }
        for (Size column = 0; column < columns; column += Wide) {
            const Size left = columns - column < Wide ? columns - column : Wide;
            const bool whole = left % Lanes == 0;
            for (Size r = 0; r < count; r++) {
                to[r] = whole ? out + r * columns + column : ends.at + r * Wide;
                start[r] = bias ? bias + column : nullptr;
            }
            multiply<Kind>(count, int((left + Lanes - 1) / Lanes), deep, from, weights + column * deep, to,
                           bias ? start : nullptr);
            for (Size r = 0; r < count && !whole; r++)
                std::memcpy(out + r * columns + column, to[r], size_t(left) * sizeof(Real));
        }
    }
};

// out (rows, columns) = a (rows, depth) · packed weights, plus `bias` (columns) unless it is null.
// `each(row, count, out)` sees some rows while they are in the cache. False when memory ran out.
constexpr auto nobody_looks = [](auto...) {};

template <typename Kind, typename Each = decltype(nobody_looks)>
bool product(Size rows, Size depth, Size columns, const typename Kind::Real *a,
             const typename Kind::Part *weights, const typename Kind::Real *bias, Size threads,
             typename Kind::Real *out, Each each = nobody_looks) {
    constexpr Size Some = RowsTimesWeights<Kind>::Some;
    bool failed = false;
    in_parallel(threads, [&](Size rank, Size ranks) {
        const Share mine(rows, rank, ranks);
        const RowsTimesWeights<Kind> multiply{depth, columns, weights, bias};
        if (!multiply.has_memory()) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
        for (Size row = mine.from; row < mine.to; row += Some) {
            const Size count = mine.to - row < Some ? mine.to - row : Some;
            multiply(count, a + row * depth, out + row * columns);
            each(row, count, out + row * columns);
        }
    });
    return !failed;
}

// d_weight (gates * units, inputs) = d_z (rows, stride), transposed, · x (rows, inputs); and d_bias
// (gates * units), the sum of d_z over the rows, unless it is null. The columns of d_z are in `order`.
// With `ids` (rows) also d_of_ids (gates * units, symbols), the product with their one-hot vectors: rows
// of d_z are summed by id as they pass, in their order.
//
// It is computed as its transpose, so that of d_z, the wider of the two, whole vectors are taken: only
// x has to be brought into an order of its own.
template <typename Kind> struct WeightGradient {
    using Real = typename Kind::Real;
    using Part = typename Kind::Part;
    using Vector = typename Kind::Vector;
    static constexpr Size Lanes = Kind::Lanes, Wide = Columns * Lanes, Pair = Kind::Pair;
    static constexpr Size Deep = 512; // terms brought into order at a time,
    static constexpr Size Sum = 256;  // and of them summed in one go
    static constexpr Size Tile = Rows * Deep + Lanes * Pair; // memory of a tile, with room behind it

    Size rows, stride, inputs;
    Order<Kind> order;
    const Real *d_z, *x;
    Real *d_weight, *d_bias;
    bool adds = false; // to what d_weight holds
    const int64_t *ids = nullptr;
    Size symbols = 0;
    Real *d_of_ids = nullptr;

    // False when memory ran out
    bool run(Size threads) const {
        const Size vectors = order.columns() / Lanes;
        bool failed = false;
        in_parallel(threads < vectors ? threads : vectors, [&](Size rank, Size ranks) {
            const Share mine(vectors, rank, ranks);
            if (!of_columns(mine.from * Lanes, mine.to * Lanes))
                __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
        });
        return !failed;
    }

  private:
    bool of_columns(Size first, Size last) const {
        const Size tiles = (inputs + Rows - 1) / Rows, width = last - first;
        Scratch<Part> left(tiles * Tile), right(Deep * Wide);
        Scratch<Real> product(round_up(inputs, Lanes) * width), sums(width); // the transpose of d_weight
        Scratch<Real> by_id(symbols * width);
        if (!left.at || !right.at || !product.at || !sums.at || !by_id.at) return false;
        std::memset(by_id.at, 0, size_t(symbols * width) * sizeof(Real));
        for (Size k = 0; k < rows; k += Deep) {
            const Size count = rows - k < Deep ? rows - k : Deep;
            pack_inputs(k, count, left.at);
            for (Size column = 0; column < width; column += Wide) {
                const Size some = width - column < Wide ? width - column : Wide;
                pack_gradients(k, count, first + column, some, right.at, sums.at + column,
                               by_id.at + column, width);
                for (Size t = 0; t < tiles; t++) {
                    const Size height = inputs - t * Rows < Rows ? inputs - t * Rows : Rows;
                    Real *to[Rows];
                    for (Size r = 0; r < height; r++) to[r] = product.at + (t * Rows + r) * width + column;
                    for (Size at = 0; at < count; at += Sum) {
                        const Size deep = count - at < Sum ? count - at : Sum;
                        const Part *a[Rows];
                        for (Size r = 0; r < height; r++) a[r] = left.at + t * Tile + at * Rows + r * Pair;
                        tile_of<Kind>(height, int(some / Lanes))(
                            round_up(deep, Pair), a, Rows * Pair, right.at + at * some, to,
                            k + at ? (const Real *const *)to : nullptr, nullptr);
                    }
                }
            }
        }
        for (Size column = 0; column < width; column += Lanes)
            turn(product.at + column, width, first + column);
        for (Size column = 0; column < width && d_bias; column++)
            if (const Size row = order.row(first + column); row >= 0) d_bias[row] = sums.at[column];
        for (Size column = 0; column < width && ids; column++)
            if (const Size row = order.row(first + column); row >= 0)
                for (Size v = 0; v < symbols; v++)
                    d_of_ids[row * symbols + v] = by_id.at[v * width + column];
        return true;
    }

    // (tiles, count / Pair, Rows, Pair). A vector is stored where only Rows of it belong: what follows
    // them is overwritten next. Some terms at a time, so that x is read along its rows.
    void pack_inputs(Size k, Size count, Part *packed) const {
        constexpr Size Near = 8;
        for (Size start = 0; start < count; start += Near)
            for (Size tile = 0; tile < inputs; tile += Rows)
                for (Size t = start; t < start + Near && t < count; t += Pair)
                    for (Size v = 0; v < Rows; v += Lanes) {
                        const Size at = (k + t) * inputs + tile + v;
                        const Size left = rows * inputs - at; // behind them is somebody else's memory
                        const auto one = Kind::load_some(x + at, left);
                        Vector two{};
                        if (Pair > 1 && t + 1 < count)
                            two = Kind::load_some(x + at + inputs, left - inputs);
                        Kind::store_terms(packed + tile / Rows * Tile + t * Rows + v * Pair, one, two);
                    }
    }

    // (count / Pair, width, Pair); and adds them up, all and by id. Rows of d_z are often a page apart,
    // which no processor fetches ahead by itself.
    void pack_gradients(Size k, Size count, Size column, Size width, Part *to, Real *sums, Real *by_id,
                        Size ids_apart) const {
        const auto add = [&](Size row, Size at, Vector v) {
            if (!ids) return;
            Real *mine = by_id + ids[row] * ids_apart + at;
            Kind::store(mine, Kind::load(mine) + v);
        };
        constexpr Size Ahead = 8;
        Vector sum[Columns] = {};
        const Size vectors = width / Lanes;
        for (Size v = 0; v < vectors && k; v++) sum[v] = Kind::load(sums + v * Lanes);
        const Real *from = d_z + k * stride + column;
        for (Size t = 0; t < count; t += Pair, from += Pair * stride)
            for (Size v = 0; v < vectors; v++) {
                for (Size p = 0; p < Pair; p++) __builtin_prefetch(from + (Ahead + p) * stride + v * Lanes);
                const Size at = v * Lanes, left = stride - column - at;
                const auto one = Kind::load_some(from + at, left);
                Vector two{};
                if (Pair > 1 && t + 1 < count) two = Kind::load_some(from + stride + at, left);
                Kind::store_terms(to + t * width + at * Pair, one, two);
                sum[v] += one;
                add(k + t, at, one);
                if constexpr (Pair > 1) {
                    sum[v] += two;
                    if (t + 1 < count) add(k + t + 1, at, two);
                }
            }
        for (Size v = 0; v < vectors; v++) Kind::store(sums + v * Lanes, sum[v]);
    }

    // A vector of columns (inputs, Lanes) of the product becomes so many rows of d_weight.
    void turn(const Real *product, Size width, Size column) const {
        for (Size i = 0; i < inputs; i += Lanes) {
            Real square[Lanes][Lanes];
            for (Size k = 0; k < Lanes; k++)
                for (Size lane = 0; lane < Lanes; lane++) square[lane][k] = product[(i + k) * width + lane];
            for (Size lane = 0; lane < Lanes; lane++)
                if (const Size row = order.row(column + lane); row >= 0) {
                    Real *to = d_weight + row * inputs + i;
                    const auto sum = Kind::load(square[lane]);
                    Kind::store_some(to, adds ? sum + Kind::load_some(to, inputs - i) : sum, inputs - i);
                }
        }
    }
};
