// The products that do not wait for a state, over all time steps at once: the input projection and
// the three products of its backward pass. All take gates in the order of layer.h.
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

// out (rows, columns) = a (rows, depth) · packed weights, plus `bias` (columns) unless it is null.
template <typename Kind>
Size product(Size rows, Size depth, Size columns, const typename Kind::Real *a,
             const typename Kind::Part *weights, const typename Kind::Real *bias, Size threads,
             typename Kind::Real *out) {
    using Real = typename Kind::Real;
    using Part = typename Kind::Part;
    constexpr Size Lanes = Kind::Lanes, Wide = Columns * Lanes;
    constexpr Size Some = 8 * Rows; // rows for which a panel of weights is fetched once
    const Size deep = round_up(depth, Kind::Pair);
    bool failed = false;
    in_parallel(threads, [&](Size rank, Size ranks) {
        const Share mine(rows, rank, ranks);
        Scratch<Part> parts(Kind::Pair > 1 ? Some * deep : 0);
        Scratch<Real> ends(Some * Wide); // the last columns, where they fill no vector
        if (!parts.at || !ends.at) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
        for (Size row = mine.from; row < mine.to; row += Some) {
            const Size count = mine.to - row < Some ? mine.to - row : Some;
            const Part *from[Some];
            Real *to[Some];
            const Real *start[Some];
            for (Size r = 0; r < count; r++) {
                if constexpr (Kind::Pair > 1) {
                    Kind::copy_parts(parts.at + r * deep, a + (row + r) * depth, depth, deep);
                    from[r] = parts.at + r * deep;
                } else {
                    from[r] = a + (row + r) * depth;
                }
            }
            for (Size column = 0; column < columns; column += Wide) {
                const Size left = columns - column < Wide ? columns - column : Wide;
                const bool whole = left % Lanes == 0;
                for (Size r = 0; r < count; r++) {
                    to[r] = whole ? out + (row + r) * columns + column : ends.at + r * Wide;
                    start[r] = bias ? bias + column : nullptr;
                }
                multiply<Kind>(count, int((left + Lanes - 1) / Lanes), deep, from, weights + column * deep,
                               to, bias ? start : nullptr);
                for (Size r = 0; r < count && !whole; r++)
                    std::memcpy(out + (row + r) * columns + column, to[r], size_t(left) * sizeof(Real));
            }
        }
    });
    return failed;
}

// d_weight (4 units, inputs) = d_z (rows, 4 wide), transposed, · x (rows, inputs); and d_bias (4
// units), the sum of d_z over the rows, unless it is null.
template <typename Kind> struct WeightGradient {
    using Real = typename Kind::Real;
    using Part = typename Kind::Part;
    static constexpr Size Lanes = Kind::Lanes, Wide = Columns * Lanes, Pair = Kind::Pair;
    static constexpr Size Deep = 512; // terms at a time
    static constexpr Size Tile = Rows * Deep + Lanes * Pair; // memory of a tile, with room behind it

    Size rows, units, inputs;
    const Real *d_z, *x;
    Real *d_weight, *d_bias;

    Size run(Size threads) const {
        const Size blocks = round_up(units, Lanes) / Lanes;
        bool failed = false;
        in_parallel(threads < blocks ? threads : blocks, [&](Size rank, Size ranks) {
            const Share mine(blocks, rank, ranks); // the gates of some units
            if (!of_gates(mine.from * 4 * Lanes, mine.to * 4 * Lanes))
                __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
        });
        return failed;
    }

  private:
    // Where gate `at`, counted as they lie in memory, has its row of d_weight; -1 behind the units.
    Size row_of(Size at) const {
        const Size unit = at / (4 * Lanes) * Lanes + at % Lanes;
        return unit < units ? at / Lanes % 4 * units + unit : -1;
    }

    bool of_gates(Size first, Size last) const {
        const Size gates = last - first, tiles = (gates + Rows - 1) / Rows;
        const Size end = inputs / Wide * Wide, narrow = round_up(inputs - end, Lanes);
        Scratch<Part> left(tiles * Tile), right(Deep * Wide);
        Scratch<Real> nowhere(Wide), ends(gates * narrow);
        if (!left.at || !right.at || !nowhere.at || !ends.at) return false;
        for (Size k = 0; k < rows; k += Deep) {
            const Size count = rows - k < Deep ? rows - k : Deep;
            pack_gates(k, count, first, gates, left.at);
            if (d_bias) sum_gates(k, count, first, gates);
            for (Size column = 0; column < inputs; column += Wide) {
                const Size width = column < end ? Wide : narrow;
                pack_inputs(k, count, column, width, right.at);
                for (Size t = 0; t < tiles; t++) {
                    const Size height = gates - t * Rows < Rows ? gates - t * Rows : Rows;
                    const Part *a[Rows];
                    Real *sums[Rows];
                    for (Size r = 0; r < height; r++) {
                        const Size row = row_of(first + t * Rows + r);
                        a[r] = left.at + t * Tile + r * Pair;
                        sums[r] = row < 0         ? nowhere.at
                                  : column < end ? d_weight + row * inputs + column
                                                 : ends.at + (t * Rows + r) * narrow;
                    }
                    tile_of<Kind>(height, int(width / Lanes))(round_up(count, Pair), a, Rows * Pair, right.at,
                                                              sums, k ? (const Real *const *)sums : nullptr);
                }
            }
        }
        for (Size gate = 0; gate < gates && narrow; gate++)
            if (const Size row = row_of(first + gate); row >= 0)
                std::memcpy(d_weight + row * inputs + end, ends.at + gate * narrow,
                            size_t(inputs - end) * sizeof(Real));
        return true;
    }

    // (tiles, count / Pair, Rows, Pair). A vector is stored where only Rows of it belong: what follows
    // them is overwritten next. Some terms at a time, so that d_z is read along its rows.
    void pack_gates(Size k, Size count, Size first, Size gates, Part *packed) const {
        constexpr Size Near = 8;
        const Size wide = 4 * round_up(units, Lanes);
        for (Size start = 0; start < count; start += Near)
            for (Size tile = 0; tile < gates; tile += Rows)
                for (Size t = start; t < start + Near && t < count; t += Pair)
                    for (Size v = 0; v < Rows; v += Lanes) {
                        const Size at = first + tile + v, left = wide - at;
                        const Real *z = d_z + (k + t) * wide + at;
                        const bool last = k + t + Pair >= rows; // behind it may be somebody else's memory
                        const auto one = last ? Kind::load_some(z, left) : Kind::load(z);
                        typename Kind::Vector two{};
                        if (Pair > 1 && t + 1 < count)
                            two = last ? Kind::load_some(z + wide, left) : Kind::load(z + wide);
                        Kind::store_terms(packed + tile / Rows * Tile + t * Rows + v * Pair, one, two);
                    }
    }

    // (count / Pair, width, Pair)
    void pack_inputs(Size k, Size count, Size column, Size width, Part *to) const {
        for (Size t = 0; t < count; t += Pair)
            for (Size v = 0; v < width; v += Lanes) {
                const Real *from = x + (k + t) * inputs + column + v;
                const Size left = inputs - column - v;
                typename Kind::Vector two{};
                if (Pair > 1 && t + 1 < count) two = Kind::load_some(from + inputs, left);
                Kind::store_terms(to + t * width + v * Pair, Kind::load_some(from, left), two);
            }
    }

    void sum_gates(Size k, Size count, Size first, Size gates) const {
        const Size wide = 4 * round_up(units, Lanes);
        for (Size at = first; at < first + gates; at += Lanes) {
            typename Kind::Vector sum{};
            for (Size t = 0; t < count; t++) sum += Kind::load(d_z + (k + t) * wide + at);
            for (Size lane = 0; lane < Lanes; lane++)
                if (const Size row = row_of(at + lane); row >= 0)
                    d_bias[row] = (k ? d_bias[row] : 0) + sum[lane];
        }
    }
};
