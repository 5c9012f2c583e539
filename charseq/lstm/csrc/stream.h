// A stack of layers that writes: one sequence, one symbol at a time, each drawn from what the model
// foresees. The whole loop is here, since one step of a small model takes a microsecond or two.
#pragma once

#include <algorithm>
#include <sched.h>

#include "layer.h"

// Waits until all ranks are here. It spins, as the others are as far to within a microsecond, and
// makes room where they are not: on a busy machine a rank may have to wait for a core.
struct Barrier {
    Size waiting = 0, round = 0;
    void wait(Size ranks) {
        if (ranks == 1) return;
        const Size now = __atomic_load_n(&round, __ATOMIC_ACQUIRE);
        if (__atomic_add_fetch(&waiting, 1, __ATOMIC_ACQ_REL) == ranks) {
            __atomic_store_n(&waiting, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&round, now + 1, __ATOMIC_RELEASE);
        }
        for (int spins = 0; __atomic_load_n(&round, __ATOMIC_ACQUIRE) == now; spins++)
            if (spins > 1000) sched_yield();
    }
};

// How a symbol is drawn, as inference/distribution.py says it.
struct Draw {
    double temperature, top_p; // 0: the likeliest symbol; 1: all of them
    Size top_k;                // 0: all
    Size never;                // a symbol that is not to be written; -1: none
};

template <typename Kind> struct Stream {
    using Real = typename Kind::Real;
    using Part = typename Kind::Part;
    static constexpr Size Lanes = Kind::Lanes, Wide = Columns * Lanes;

    // Stream of kernel.py has the same fields in the same order.
    Size layers, units, symbols, threads;
    const Real *table;            // (V, 4 wide): W_ih x + b of the first layer, for every symbol
    const Real *const *biases;    // of each layer above: (4 wide)
    const Part *const *weight_ih; // of each layer above, packed forward
    const Part *const *weight_hh; // of each layer, packed forward
    const Part *weight_out;       // packed rows
    const Real *bias_out;         // (V rounded up to Lanes)
    Real *h, *c;                  // (layers, wide): the state, before and after
    Real *logits;                 // (V rounded up to Lanes): of the last step
    Draw draw;

    // Read `symbol`, write `count` symbols with a uniform number in [0, 1) for each. Returns how many
    // were written: fewer than `count` where a logit is not finite; -1 when memory ran out.
    Size write(Size symbol, Size count, const double *uniforms, int64_t *written) const;

  private:
    void layer(Size l, const Real *z_of_input, const Part *below, const Part *before, Real *h_out,
               Part *part_out, Size from, Size to) const;
    Size choose(double uniform, double *scores, Size *order) const;
};

template <typename Kind>
void Stream<Kind>::layer(Size l, const Real *start, const Part *below, const Part *before, Real *h_out,
                         Part *part_out, Size from, Size to) const {
    const Size wide = round_up(units, Lanes), deep = round_up(units, Kind::Pair);
    for (Size u = from * Lanes; u < to * Lanes; u += Lanes) {
        Real z[Wide];
        Real *const sums[] = {z};
        const Real *const given[] = {start + 4 * u};
        const Real *const so_far[] = {z};
        if (l > 0)
            multiply<Kind>(1, Columns, deep, &below, weight_ih[l - 1] + u * 4 * deep, sums, given);
        multiply<Kind>(1, Columns, deep, &before, weight_hh[l] + u * 4 * deep, sums, l > 0 ? so_far : given);
        Real *cell = c + l * wide + u;
        const auto h_t = gates_of<Kind>(z, cell, cell, false);
        Kind::store(h_out + u, h_t);
        if constexpr (Kind::Pair > 1) Kind::store_parts(part_out + u, h_t);
    }
}

template <typename Kind> Size Stream<Kind>::choose(double uniform, double *scores, Size *order) const {
    Size likeliest = -1;
    for (Size v = 0; v < symbols; v++) {
        if (v == draw.never && symbols > 1) continue;
        if (!(logits[v] == logits[v])) return -1;
        if (likeliest < 0 || logits[v] > logits[likeliest]) likeliest = v;
    }
    const double peak = logits[likeliest];
    if (!std::isfinite(peak)) return -1;
    if (draw.temperature == 0) return likeliest;
    double total = 0;
    for (Size v = 0; v < symbols; v++) {
        const bool out = v == draw.never && symbols > 1;
        scores[v] = out ? 0 : std::exp((logits[v] - peak) / draw.temperature);
        total += scores[v];
    }
    if ((draw.top_k && draw.top_k < symbols) || draw.top_p < 1) {
        for (Size v = 0; v < symbols; v++) order[v] = v;
        std::sort(order, order + symbols, [&](Size a, Size b) {
            return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
        });
        const Size most = draw.top_k && draw.top_k < symbols ? draw.top_k : symbols;
        total = 0;
        for (Size i = 0; i < symbols; i++) i < most ? total += scores[order[i]] : scores[order[i]] = 0;
        double before = 0, kept = 0;
        for (Size i = 0; i < most; i++) { // the likeliest stays, then what begins below top_p
            const double p = scores[order[i]];
            if (i > 0 && draw.top_p < 1 && before >= draw.top_p * total) scores[order[i]] = 0;
            before += p;
            kept += scores[order[i]];
        }
        total = kept;
    }
    double sum = 0;
    Size last = likeliest;
    for (Size v = 0; v < symbols; v++) {
        if (scores[v] == 0) continue;
        sum += scores[v];
        last = v;
        if (uniform * total < sum) break;
    }
    return last;
}

template <typename Kind>
Size Stream<Kind>::write(Size symbol, Size count, const double *uniforms, int64_t *written) const {
    const Size wide = round_up(units, Lanes), deep = round_up(units, Kind::Pair);
    const Size blocks = wide / Lanes, panels = round_up(symbols, Wide) / Wide;
    // The outputs of the layers, in turn the step's and those of the step before
    Scratch<Real> now(layers * wide);
    Scratch<Part> parts(2 * layers * wide);
    Scratch<double> scores(symbols);
    Scratch<Size> order(symbols);
    if (!now.at || !parts.at || !scores.at || !order.at) return -1;
    for (Size i = 0; i < layers * wide; i++) parts.at[i] = parts.at[layers * wide + i] = Kind::to_part(h[i]);
    Size done = 0, reading = symbol;
    bool failed = false;
    Barrier all;
    in_parallel(threads, [&](Size rank, Size ranks) {
        const Share mine(blocks, rank, ranks), outputs(panels, rank, ranks);
        for (Size s = 0; s < count; s++) {
            Part *before = parts.at + (s & 1) * layers * wide, *after = parts.at + (~s & 1) * layers * wide;
            for (Size l = 0; l < layers; l++) {
                const Part *below = l ? after + (l - 1) * wide : nullptr;
                const Real *start = l ? biases[l - 1] : table + reading * 4 * wide;
                Real *h_out = Kind::Pair > 1 ? now.at + l * wide : (Real *)after + l * wide;
                layer(l, start, below, before + l * wide, h_out, after + l * wide, mine.from, mine.to);
                all.wait(ranks);
            }
            const Part *top = after + (layers - 1) * wide;
            for (Size p = outputs.from; p < outputs.to; p++) {
                const Size first = p * Wide, left = round_up(symbols, Lanes) - first;
                Real *const sums[] = {logits + first};
                const Real *const start[] = {bias_out + first};
                multiply<Kind>(1, int((left < Wide ? left : Wide) / Lanes), deep, &top,
                               weight_out + first * deep, sums, start);
            }
            all.wait(ranks);
            if (rank == 0) {
                const Size choice = choose(uniforms[s], scores.at, order.at);
                failed = choice < 0;
                if (!failed) written[done++] = reading = choice;
            }
            all.wait(ranks);
            if (failed) break;
        }
    });
    // the last outputs, which the next call goes on from
    for (Size i = 0; i < layers * wide; i++)
        h[i] = Kind::Pair > 1 ? now.at[i] : (Real)parts.at[(done & 1) * layers * wide + i];
    return done;
}
