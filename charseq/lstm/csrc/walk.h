// The walk of one LSTM layer through time, forwards and backwards.
//
// The steps carry the numbers of cell.py and manual.py. The sequences of a batch never meet, so each
// thread takes some of them through all of time, with nothing to wait for; a sequence that has ended
// is left out. Gates are laid out by blocks of `Lanes` units, (T, B, blocks, 4, Lanes), so that one
// tile makes the four gates of a block. `wide` is `units` rounded up to `Lanes`: what stands behind
// the units is computed from zeros and read by nobody.
#pragma once

#include "products.h"

// Steps 2 and 3 of one block of one sequence: z_t becomes the gates. Unless `kept` is null they are kept:
// past the caches, since nobody will look at them before the sequence has ended.
//
// With zoneout c_t = c_{t-1} + u_t * (f_t * c_{t-1} + i_t * g_t - c_{t-1}): as if the input gate were u * i,
// and the forget gate 1 - u + u * f. These are the gates that are kept. Where u is 1 or 0, as in training,
// their slopes are those of any gates, i * (1 - i): a unit that keeps its state has an input gate that is
// shut and a forget gate that is open, and learns nothing.
template <typename Kind>
INLINE void gates_of(typename Kind::Real *z, const typename Kind::Real *c_before, typename Kind::Real *c_now,
                     typename Kind::Real *kept, typename Kind::Vector u) {
    constexpr Size Lanes = Kind::Lanes;
    // 2. the gates
    typename Kind::Vector gates[4];
    for (int v = 0; v < 4; v++) gates[v] = Kind::load(z + v * Lanes);
    squash<Kind>(gates);
    auto &[i, f, g, o] = gates;
    i = u * i;
    f = (1 - u) + u * f;
    for (int v = 0; v < 4 && kept; v++) Kind::store_past_caches(kept + v * Lanes, gates[v]);
    Kind::store(z + 3 * Lanes, o); // for step 4
    // 3. c_t = f_t * c_{t-1} + i_t * g_t
    Kind::store(c_now, f * Kind::load(c_before) + i * g);
}

// Step 4 of `count` such blocks, of the z_t and c_t that `z(n)` and `c(n)` name. `each(n, h_t)` has the rest.
template <typename Kind, typename Z, typename C, typename Each>
INLINE void outputs_of(Size count, Z z, C c, Each each) {
    by_four(count, [&](auto number, Size first) {
        // 4. h_t = o_t * tanh(c_t)
        typename Kind::Vector h[number];
        for (int v = 0; v < number; v++) h[v] = Kind::load(c(first + v));
        tanh<Kind>(h);
        for (int v = 0; v < number; v++) each(first + v, Kind::load(z(first + v) + 3 * Kind::Lanes) * h[v]);
    });
}

template <typename Kind> struct Walk {
    using Real = typename Kind::Real;
    using Part = typename Kind::Part;
    static constexpr Size Lanes = Kind::Lanes;

    Size steps, batch, units, inputs, reverse, threads;
    const int64_t *lengths; // (B,), or null: all sequences have `steps` steps
    bool keep;              // whether a backward pass will follow
    const Part *weight_hh;  // packed for the direction of the walk
    const Part *weight_ih;  // so too; null where nothing is multiplied with it
    const Real *c_0;        // (B, wide)
    Real *gates;            // (T, B, 4 wide); null where nothing is kept
    Real *c;                // (T, B, wide); (B, wide) where nothing is kept
    // forward
    const int64_t *ids; // (T, B) symbols; or null:
    const Real *x;      // (T, B, inputs)
    const Real *updates; // (T, B, units): u, how much of its cell state a unit replaces; or null:
    Real update;         // that of all; with `updates` 1
    const Real *table;  // (V, 4 wide): W_ih x + b of every symbol; or (4 wide): b
    const Real *h_0;    // (B, units)
    Real *output;       // (T, B, units)
    // backward
    const Real *d_output; // (T, B, units)
    Real *d_h, *d_c;      // (B, wide): of the last state; becomes that of the first
    Real *d_z;            // (T, B, 4 wide)
    Real *d_x;            // (T, B, inputs), or null

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
    const Size wide = this->wide(), most = last - first;
    const Size deep = round_up(units, Kind::Pair), deep_x = round_up(inputs, Kind::Pair);
    // What bfloat16 products read: h_{t-1} and h_t of every sequence, in turn; and x_t
    Scratch<Part> parts(Kind::Pair > 1 ? 2 * most * wide : 0);
    Scratch<Part> parts_of_x(Kind::Pair > 1 && x ? most * deep_x : 0);
    Scratch<Real> sums(most * Columns * Lanes);
    struct Row {
        const Real *z, *c_before;
        Real *gates, *c, *h;
        const Real *updates;
        Part *part;
    };
    Scratch<Row> rows(most);
    Scratch<const Part *> h_before(most), x_now(most);
    Scratch<const Real *> from(most);
    Scratch<Real *> to(most);
    if (!parts.at || !parts_of_x.at || !sums.at || !rows.at || !h_before.at || !x_now.at || !from.at || !to.at)
        return false;
    if constexpr (Kind::Pair > 1)
        for (Size r = 0; r < most; r++)
            Kind::copy_parts(parts.at + (2 * r + 1) * wide, h_0 + (first + r) * units, units, wide);
    for (Size r = 0; r < most; r++) to.at[r] = sums.at + r * Columns * Lanes;
    const Real *const *so_far = (const Real *const *)to.at;
    const typename Kind::Vector all = typename Kind::Vector{} + update;

    for (Size s = 0; s < steps; s++) {
        Size count = 0;
        for (Size row = first; row < last; row++) {
            if (s >= length(row)) continue;
            const Size now = place(row, s), before = s ? place(row, s - 1) : 0;
            Row &r = rows.at[count];
            r.h = output + now * units;
            r.c = c + (keep ? now : row) * wide;
            r.c_before = s == 0 ? c_0 + row * wide : c + (keep ? before : row) * wide;
            r.gates = keep ? gates + now * 4 * wide : nullptr;
            r.updates = updates ? updates + now * units : nullptr;
            r.z = ids ? table + ids[now] * 4 * wide : table;
            if constexpr (Kind::Pair > 1) {
                Part *mine = parts.at + 2 * (row - first) * wide;
                r.part = mine + (s & 1) * wide;
                h_before.at[count] = mine + (~s & 1) * wide;
                if (x) {
                    Part *part = parts_of_x.at + count * deep_x;
                    Kind::copy_parts(part, x + now * inputs, inputs, deep_x);
                    x_now.at[count] = part;
                }
            } else {
                h_before.at[count] = s ? output + before * units : h_0 + row * units;
                x_now.at[count] = x ? x + now * inputs : nullptr;
            }
            count++;
        }
        if (count == 0) break;
        for (Size u = 0; u < wide; u += Lanes) {
            for (Size r = 0; r < count; r++) {
                from.at[r] = rows.at[r].z + 4 * u;
                // What will be written is fetched while the products are made
                __builtin_prefetch(rows.at[r].c + u, 1);
                __builtin_prefetch(rows.at[r].h + u, 1);
            }
            // 1a. z_t = W_ih x_t + b: for a symbol it stands in the table
            if (x)
                multiply<Kind>(count, Columns, deep_x, x_now.at, weight_ih + u * 4 * deep_x, to.at, from.at);
            // 1b. z_t += W_hh h_{t-1}
            multiply<Kind>(count, Columns, deep, h_before.at, weight_hh + u * 4 * deep, to.at,
                           x ? so_far : from.at);
            const Size written = units - u < Lanes ? units - u : Lanes;
            for (Size r = 0; r < count; r++) {
                const Row &row = rows.at[r];
                const auto replaced = updates ? Kind::load_some(row.updates + u, written) : all;
                gates_of<Kind>(to.at[r], row.c_before + u, row.c + u, keep ? row.gates + 4 * u : nullptr,
                               replaced);
            }
            outputs_of<Kind>(
                count, [&](Size r) { return to.at[r]; }, [&](Size r) { return rows.at[r].c + u; },
                [&](Size r, auto h_t) {
                    Kind::store_some(rows.at[r].h + u, h_t, written);
                    if constexpr (Kind::Pair > 1) Kind::store_parts(rows.at[r].part + u, h_t);
                });
        }
    }
    finish_stores();
    return true;
}

template <typename Kind> bool Walk<Kind>::backward(Size first, Size last) const {
    const Size wide = this->wide(), most = last - first;
    const Size paired = Kind::Pair > 1 ? 4 * wide : 0;
    Scratch<Part> parts(most * paired);
    Scratch<const Part *> a(most);
    Scratch<Real *> to(most), to_x(most), panel(most);
    Scratch<Real> ends(most * Columns * Lanes); // the last inputs, where they fill no vector
    // i and f as they were kept, u * i and 1 - u + u * f; with u of each unit, 0 or 1, their slopes are
    // those of any gates
    const Real per_update = 1 / update, kept = 1 - update;
    if (!parts.at || !a.at || !to.at || !to_x.at || !panel.at || !ends.at) return false;

    for (Size s = steps - 1; s >= 0; s--) {
        Size count = 0;
        for (Size row = first; row < last; row++) {
            if (s >= length(row)) continue;
            const Size now = place(row, s);
            const Real *gates_now = gates + now * 4 * wide, *c_now = c + now * wide;
            const Real *c_before = s ? c + place(row, s - 1) * wide : c_0 + row * wide;
            const Real *d_out = d_output + now * units;
            Real *dh = d_h + row * wide, *dc = d_c + row * wide, *dz = d_z + now * 4 * wide;
            Part *part = parts.at + (row - first) * paired;
            by_four(wide / Lanes, [&](auto number, Size block) {
                typename Kind::Vector tanh_c[number];
                for (int v = 0; v < number; v++) tanh_c[v] = Kind::load(c_now + (block + v) * Lanes);
                tanh<Kind>(tanh_c);
                for (int v = 0; v < number; v++) {
                    const Size u = (block + v) * Lanes;
                    const Real *gate = gates_now + 4 * u;
                    const auto i = Kind::load(gate), f = Kind::load(gate + Lanes);
                    const auto g = Kind::load(gate + 2 * Lanes), o = Kind::load(gate + 3 * Lanes);
                    // 4'. the output of step t is read outside, and by step t + 1
                    auto d_h_t = Kind::load(dh + u);
                    if (u + Lanes <= units)
                        d_h_t += Kind::load(d_out + u);
                    else
                        for (Size lane = 0; lane < units - u; lane++) d_h_t[lane] += d_out[u + lane];
                    const auto d_c_t = Kind::load(dc + u) + d_h_t * o * (1 - tanh_c[v] * tanh_c[v]);
                    // 3'. d_i = d_c * g, d_f = d_c * c_{t-1}, d_g = d_c * i; 2'. times the slopes
                    typename Kind::Vector d[4];
                    d[0] = d_c_t * g * i * (1 - i * per_update);
                    d[1] = d_c_t * Kind::load(c_before + u) * (f - kept) * (1 - f) * per_update;
                    d[2] = d_c_t * i * (1 - g * g);
                    d[3] = d_h_t * tanh_c[v] * o * (1 - o);
                    Kind::store(dc + u, d_c_t * f);
                    for (int k = 0; k < 4; k++) {
                        const Size at = 4 * u + k * Lanes;
                        if constexpr (Kind::Pair > 1) {
                            Kind::store_past_caches(dz + at, d[k]);
                            Kind::store_parts(part + at, d[k]);
                        } else { // the product reads them at once
                            Kind::store(dz + at, d[k]);
                        }
                    }
                }
            });
            if constexpr (Kind::Pair > 1)
                a.at[count] = part;
            else
                a.at[count] = d_z + now * 4 * wide;
            to_x.at[count] = d_x ? d_x + now * inputs : nullptr;
            to.at[count++] = dh;
        }
        // 1b'. d_h_{t-1} = d_z_t W_hh
        for (Size u = 0; u < wide; u += Columns * Lanes) {
            const Size left = (wide - u) / Lanes;
            for (Size r = 0; r < count; r++) panel.at[r] = to.at[r] + u;
            multiply<Kind>(count, int(left < Columns ? left : Columns), 4 * wide, a.at,
                           weight_hh + u * 4 * wide, panel.at, nullptr);
        }
        // 1a'. d_x_t = d_z_t W_ih
        for (Size u = 0; d_x && u < inputs; u += Columns * Lanes) {
            const Size left = inputs - u < Columns * Lanes ? inputs - u : Columns * Lanes;
            const bool whole = left % Lanes == 0;
            for (Size r = 0; r < count; r++)
                panel.at[r] = whole ? to_x.at[r] + u : ends.at + r * Columns * Lanes;
            multiply<Kind>(count, int((left + Lanes - 1) / Lanes), 4 * wide, a.at, weight_ih + u * 4 * wide,
                           panel.at, nullptr);
            for (Size r = 0; r < count && !whole; r++)
                std::memcpy(to_x.at[r] + u, panel.at[r], size_t(left) * sizeof(Real));
        }
    }
    finish_stores();
    return true;
}
