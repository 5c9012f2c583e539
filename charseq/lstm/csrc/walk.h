// The walk of one LSTM layer through time, forwards and backwards.
//
// The steps carry the numbers of cell.py and manual.py. The sequences of a batch never meet, so each
// thread takes some of them through all of time, with nothing to wait for; a sequence that has ended
// is left out. Gates are laid out by blocks of `Lanes` units, (T, B, blocks, 4, Lanes), so that one
// tile makes the four gates of a block. `wide` is `units` rounded up to `Lanes`: what stands behind
// the units is computed from zeros and read by nobody.
#pragma once

#include "products.h"

// Steps 2 to 4 of one block of one sequence. Returns h_t; the gates are kept unless `kept` is null: in
// the place of z, or past the caches, where nobody has looked at their memory and nobody will for long.
template <typename Kind>
INLINE typename Kind::Vector gates_of(const typename Kind::Real *z, const typename Kind::Real *c_before,
                                      typename Kind::Real *c_now, typename Kind::Real *kept) {
    constexpr Size Lanes = Kind::Lanes;
    // 2. the gates
    const auto i = sigmoid<Kind>(Kind::load(z));
    const auto f = sigmoid<Kind>(Kind::load(z + Lanes));
    const auto g = tanh<Kind>(Kind::load(z + 2 * Lanes));
    const auto o = sigmoid<Kind>(Kind::load(z + 3 * Lanes));
    const auto keep = [&](auto store) {
        store(kept, i);
        store(kept + Lanes, f);
        store(kept + 2 * Lanes, g);
        store(kept + 3 * Lanes, o);
    };
    if (kept == z)
        keep(Kind::store);
    else if (kept)
        keep(Kind::store_past_caches);
    // 3. c_t = f_t * c_{t-1} + i_t * g_t
    const auto c_t = f * Kind::load(c_before) + i * g;
    Kind::store(c_now, c_t);
    // 4. h_t = o_t * tanh(c_t)
    return o * tanh<Kind>(c_t);
}

template <typename Kind> struct Walk {
    using Real = typename Kind::Real;
    using Part = typename Kind::Part;
    static constexpr Size Lanes = Kind::Lanes;

    Size steps, batch, units, reverse, threads;
    const int64_t *lengths; // (B,), or null: all sequences have `steps` steps
    bool keep = true;       // whether a backward pass will follow
    const Part *weights;    // W_hh, packed for the direction of the walk
    const Real *c_0;        // (B, wide)
    Real *gates;            // (T, B, 4 wide)
    Real *c;                // (T, B, wide); (B, wide) where nothing is kept
    // forward
    const int64_t *ids = nullptr; // (T, B) symbols, or null: the gates hold their projection, 1a
    const Real *table = nullptr;  // (V, 4 wide): 1a of every symbol; then gates need not be kept
    const Real *h_0 = nullptr;    // (B, units)
    Real *output = nullptr;       // (T, B, units)
    // backward
    const Real *d_output = nullptr;        // (T, B, units)
    Real *d_h = nullptr, *d_c = nullptr;   // (B, wide): of the last state; becomes that of the first
    Real *d_z = nullptr;                   // (T, B, 4 wide)

    Size wide() const { return round_up(units, Lanes); }
    Size length(Size row) const { return lengths ? lengths[row] : steps; }
    // Where in memory the step stands that a sequence takes as its s-th.
    Size place(Size row, Size s) const { return (reverse ? length(row) - 1 - s : s) * batch + row; }
    // False when memory ran out
    bool forward() const {
        return by_rows([this](Size from, Size to) { return forward(from, to); });
    }
    bool backward() const {
        return by_rows([this](Size from, Size to) { return backward(from, to); });
    }

  private:
    template <typename Pass> bool by_rows(Pass pass) const;
    bool forward(Size first, Size last) const;
    bool backward(Size first, Size last) const;
};

template <typename Kind> template <typename Pass> bool Walk<Kind>::by_rows(Pass pass) const {
    bool failed = false;
    in_parallel(threads < batch ? threads : batch, [&](Size rank, Size ranks) {
        const Share rows(batch, rank, ranks);
        if (!pass(rows.from, rows.to)) __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
    });
    return !failed;
}

template <typename Kind> bool Walk<Kind>::forward(Size first, Size last) const {
    const Size wide = this->wide(), deep = round_up(units, Kind::Pair), most = last - first;
    // What bfloat16 products read: h_{t-1} and h_t of every sequence, in turn
    const Size paired = Kind::Pair > 1 ? wide : 0;
    Scratch<Part> parts(2 * most * paired);
    const bool in_place = keep && !ids;
    Scratch<Real> sums(in_place ? 0 : most * Columns * Lanes);
    struct Row {
        const Part *h_before;
        const Real *z, *c_before;
        Real *gates, *c, *h;
        Part *part;
    };
    Scratch<Row> rows(most);
    Scratch<const Part *> a(most);
    Scratch<const Real *> from(most);
    Scratch<Real *> to(most);
    if (!parts.at || !sums.at || !rows.at || !a.at || !from.at || !to.at) return false;
    if constexpr (Kind::Pair > 1)
        for (Size r = 0; r < most; r++)
            for (Size u = 0; u < wide; u++)
                parts.at[(2 * r + 1) * wide + u] =
                    u < units ? Kind::to_part(h_0[(first + r) * units + u]) : Part(0);

    for (Size s = 0; s < steps; s++) {
        Size count = 0;
        for (Size row = first; row < last; row++) {
            if (s >= length(row)) continue;
            const Size now = place(row, s), before = s ? place(row, s - 1) : 0;
            Row &r = rows.at[count];
            r.h = output + now * units;
            if constexpr (Kind::Pair > 1) {
                Part *mine = parts.at + 2 * (row - first) * wide;
                r.part = mine + (s & 1) * wide;
                r.h_before = mine + (~s & 1) * wide;
            } else {
                r.part = nullptr;
                r.h_before = s ? output + before * units : h_0 + row * units;
            }
            r.c = c + (keep ? now : row) * wide;
            r.c_before = s == 0 ? c_0 + row * wide : c + (keep ? before : row) * wide;
            // 1a. what the input says, W_ih x_t + b: for a symbol a row of the table
            r.gates = keep ? gates + now * 4 * wide : nullptr;
            r.z = ids ? table + ids[now] * 4 * wide : gates + now * 4 * wide;
            a.at[count++] = r.h_before;
        }
        if (count == 0) break;
        for (Size u = 0; u < wide; u += Lanes) {
            for (Size r = 0; r < count; r++) {
                from.at[r] = rows.at[r].z + 4 * u;
                to.at[r] = in_place ? rows.at[r].gates + 4 * u : sums.at + r * Columns * Lanes;
                // What will be written is fetched while the products are made
                for (Size line = 0; in_place && line < 4 * Lanes; line += Lanes)
                    __builtin_prefetch(to.at[r] + line, 1);
                __builtin_prefetch(rows.at[r].c + u, 1);
                __builtin_prefetch(rows.at[r].h + u, 1);
            }
            // 1b. z_t = 1a + W_hh h_{t-1}
            multiply<Kind>(count, Columns, deep, a.at, weights + u * 4 * deep, to.at, from.at);
            const Size written = units - u < Lanes ? units - u : Lanes;
            for (Size r = 0; r < count; r++) {
                const Row &row = rows.at[r];
                const auto h_t = gates_of<Kind>(to.at[r], row.c_before + u, row.c + u, keep ? row.gates + 4 * u : nullptr);
                Kind::store_some(row.h + u, h_t, written);
                if constexpr (Kind::Pair > 1) Kind::store_parts(row.part + u, h_t);
            }
        }
    }
    return true;
}

template <typename Kind> bool Walk<Kind>::backward(Size first, Size last) const {
    const Size wide = this->wide(), most = last - first;
    const Size paired = Kind::Pair > 1 ? 4 * wide : 0;
    Scratch<Part> parts(most * paired);
    Scratch<const Part *> a(most);
    Scratch<Real *> to(most), panel(most);
    if (!parts.at || !a.at || !to.at || !panel.at) return false;

    for (Size s = steps - 1; s >= 0; s--) {
        Size count = 0;
        for (Size row = first; row < last; row++) {
            if (s >= length(row)) continue;
            const Size now = place(row, s);
            const Real *gate = gates + now * 4 * wide, *c_now = c + now * wide;
            const Real *c_before = s ? c + place(row, s - 1) * wide : c_0 + row * wide;
            const Real *d_out = d_output + now * units;
            Real *dh = d_h + row * wide, *dc = d_c + row * wide, *dz = d_z + now * 4 * wide;
            Part *part = parts.at + (row - first) * paired;
            for (Size u = 0; u < wide; u += Lanes, gate += 4 * Lanes, dz += 4 * Lanes) {
                const auto i = Kind::load(gate), f = Kind::load(gate + Lanes);
                const auto g = Kind::load(gate + 2 * Lanes), o = Kind::load(gate + 3 * Lanes);
                // 4'. the output of step t is read outside, and by step t + 1
                auto d_h_t = Kind::load(dh + u);
                if (u + Lanes <= units)
                    d_h_t += Kind::load(d_out + u);
                else
                    for (Size lane = 0; lane < units - u; lane++) d_h_t[lane] += d_out[u + lane];
                const auto tanh_c = tanh<Kind>(Kind::load(c_now + u));
                const auto d_c_t = Kind::load(dc + u) + d_h_t * o * (1 - tanh_c * tanh_c);
                // 3'. d_i = d_c * g, d_f = d_c * c_{t-1}, d_g = d_c * i; 2'. times the slopes
                typename Kind::Vector d[4];
                d[0] = d_c_t * g * i * (1 - i);
                d[1] = d_c_t * Kind::load(c_before + u) * f * (1 - f);
                d[2] = d_c_t * i * (1 - g * g);
                d[3] = d_h_t * tanh_c * o * (1 - o);
                Kind::store(dc + u, d_c_t * f);
                if constexpr (Kind::Pair > 1)
                    for (int v = 0; v < 4; v++) {
                        Kind::store_past_caches(dz + v * Lanes, d[v]);
                        Kind::store_parts(part + 4 * u + v * Lanes, d[v]);
                    }
                else // the product reads them at once
                    for (int v = 0; v < 4; v++) Kind::store(dz + v * Lanes, d[v]);
            }
            if constexpr (Kind::Pair > 1)
                a.at[count] = part;
            else
                a.at[count] = d_z + now * 4 * wide;
            to.at[count++] = dh;
        }
        // 1b'. d_h_{t-1} = d_z_t W_hh
        for (Size u = 0; u < wide; u += Columns * Lanes) {
            const Size left = (wide - u) / Lanes;
            for (Size r = 0; r < count; r++) panel.at[r] = to.at[r] + u;
            multiply<Kind>(count, int(left < Columns ? left : Columns), 4 * wide, a.at,
                           weights + u * 4 * wide, panel.at, nullptr);
        }
    }
    return true;
}
