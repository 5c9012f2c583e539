// A stack of layers that writes: a batch of texts, one symbol at a time, each drawn from what the model
// predicts. The whole loop is here, since one step of a small model takes a microsecond or two.
#pragma once

#include <algorithm>
#include <sched.h>

#include "walk.h"

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
    Size layers, units, symbols, threads, batch;
    const Real *table;            // (V, 4 wide): W_ih x + b of the first layer, for every symbol
    const Real *const *biases;    // of each layer above: (4 wide)
    const Part *const *weight_ih; // of each layer above, packed forward
    const Part *const *weight_hh; // of each layer, packed forward
    const Part *weight_out;       // packed rows
    const Real *bias_out;         // (V rounded up to Lanes)
    Real *h, *c;                  // (layers, batch, wide): the states, before and after
    Real *logits;                 // (batch, V rounded up to Lanes): of the last step
    double update;                // how much of its cell state a unit replaces: all but with zoneout
    Draw draw;

    // Read `first` (batch), write `count` symbols of each text (count, batch) with a uniform number in
    // [0, 1) for each. Returns how many of each were written: fewer than `count` where a logit of any
    // is not finite; -1 when memory ran out.
    Size write(const int64_t *first, Size count, const double *uniforms, int64_t *written) const;

  private:
    // What a thread needs for a step: a row of each for every text
    struct Row {
        Scratch<Real> z;
        Scratch<const Part *> below, before;
        Scratch<const Real *> start;
        Scratch<Real *> sums;
        Scratch<double> scores;
        Scratch<Size> order;
        explicit Row(Size batch, Size blocks, Size symbols)
            : z(blocks * batch * Wide), below(batch), before(batch), start(batch), sums(batch),
              scores(round_up(symbols, Double::Lanes)), order(symbols) {}
        bool has_memory() const {
            return z.at && below.at && before.at && start.at && sums.at && scores.at && order.at;
        }
    };
    void layer(Size l, const int64_t *reading, const Part *below, const Part *before, Real *h_out,
               Part *part_out, Size from, Size to, const Row &row) const;
    void output(const Part *top, Size from, Size to, const Row &row) const;
    Size choose(const Real *logits, double uniform, double *scores, Size *order) const;
};

// A layer of a step, of the blocks [from, to): what stands below it, or the symbols where it is the
// first, and its own outputs of the step before become its outputs.
template <typename Kind>
void Stream<Kind>::layer(Size l, const int64_t *reading, const Part *below, const Part *before,
                         Real *h_out, Part *part_out, Size from, Size to, const Row &row) const {
    const Size wide = round_up(units, Lanes), deep = round_up(units, Kind::Pair);
    const typename Kind::Vector all = typename Kind::Vector{} + Real(update);
    for (Size r = 0; r < batch; r++) {
        row.below.at[r] = below + r * wide;
        row.before.at[r] = before + r * wide;
    }
    // z_t of all blocks, of each text; then what follows is done for several at once
    for (Size block = from; block < to; block++) {
        const Size u = block * Lanes;
        for (Size r = 0; r < batch; r++) {
            row.start.at[r] = (l ? biases[l - 1] : table + reading[r] * 4 * wide) + 4 * u;
            row.sums.at[r] = row.z.at + ((block - from) * batch + r) * Wide;
        }
        const Real *const *so_far = (const Real *const *)row.sums.at;
        if (l > 0)
            multiply<Kind>(batch, Columns, deep, row.below.at, weight_ih[l - 1] + u * 4 * deep, row.sums.at,
                           row.start.at);
        multiply<Kind>(batch, Columns, deep, row.before.at, weight_hh[l] + u * 4 * deep, row.sums.at,
                       l > 0 ? so_far : row.start.at);
    }
    const auto z = [&](Size n) { return row.z.at + n * Wide; };
    // Where the vector of a text's block stands among all units of all texts
    const auto place = [&](Size n) { return n % batch * wide + (from + n / batch) * Lanes; };
    const auto cell = [&](Size n) { return c + l * batch * wide + place(n); };
    const Size count = (to - from) * batch;
    for (Size n = 0; n < count; n++) gates_of<Kind>(z(n), cell(n), cell(n), nullptr, all);
    outputs_of<Kind>(count, z, cell, [&](Size n, auto h_t) {
        Kind::store(h_out + place(n), h_t);
        if constexpr (Kind::Pair > 1) Kind::store_parts(part_out + place(n), h_t);
    });
}

// The logits of the panels [from, to), of what the highest layer says.
template <typename Kind>
void Stream<Kind>::output(const Part *top, Size from, Size to, const Row &row) const {
    const Size wide = round_up(units, Lanes), deep = round_up(units, Kind::Pair);
    const Size all = round_up(symbols, Lanes);
    for (Size first = from * Wide; first < to * Wide && first < all; first += Wide) {
        for (Size r = 0; r < batch; r++) {
            row.below.at[r] = top + r * wide;
            row.start.at[r] = bias_out + first;
            row.sums.at[r] = logits + r * all + first;
        }
        const Size left = all - first;
        multiply<Kind>(batch, int((left < Wide ? left : Wide) / Lanes), deep, row.below.at,
                       weight_out + first * deep, row.sums.at, row.start.at);
    }
}

// The symbol that a number falls on; -1 where a logit is not finite.
template <typename Kind>
Size Stream<Kind>::choose(const Real *logits, double uniform, double *scores, Size *order) const {
    using Vector = Double::Vector;
    const Size whole = round_up(symbols, Double::Lanes);
    for (Size v = 0; v < whole; v++) scores[v] = v < symbols ? logits[v] : -INFINITY;
    if (draw.never >= 0 && symbols > 1) scores[draw.never] = -INFINITY;
    Vector highest = Vector{} - INFINITY, none{}; // 0, or not a number
    for (Size v = 0; v < whole; v += Double::Lanes) {
        const Vector x = Double::load(scores + v);
        highest = highest < x ? x : highest;
        none = x == x ? none : x;
    }
    double peak = -INFINITY;
    for (Size lane = 0; lane < Double::Lanes; lane++) {
        if (none[lane] != 0) return -1;
        peak = highest[lane] > peak ? highest[lane] : peak;
    }
    if (!std::isfinite(peak)) return -1;
    if (draw.temperature == 0) return std::find(scores, scores + symbols, peak) - scores;
    const bool cuts = (draw.top_k && draw.top_k < symbols) || draw.top_p < 1;
    if (cuts) { // by the logits: however hot, the likeliest comes first
        for (Size v = 0; v < symbols; v++) order[v] = v;
        std::sort(order, order + symbols, [&](Size a, Size b) {
            return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
        });
    }
    for (Size v = 0; v < whole; v += Double::Lanes) {
        const Vector below = (Double::load(scores + v) - peak) / draw.temperature;
        Double::store(scores + v, exponential_of_double(below));
    }
    double total = 0; // of those that remain; 0 where all do
    if (cuts) {
        const Size most = draw.top_k && draw.top_k < symbols ? draw.top_k : symbols;
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
    for (Size v = 0; v < symbols; v++) scores[v] = sum += scores[v];
    const double number = uniform * (total > 0 ? total : sum);
    Size chosen = 0; // the first whose sum is above the number: the sums rise
    for (Size v = 0; v < symbols; v++) chosen += !(number < scores[v]);
    // Rounding may leave the number at the sum of all: the last that adds to it
    return chosen < symbols ? chosen : std::find(scores, scores + symbols, sum) - scores;
}

template <typename Kind>
Size Stream<Kind>::write(const int64_t *first, Size count, const double *uniforms,
                         int64_t *written) const {
    const Size wide = round_up(units, Lanes), all = round_up(symbols, Lanes);
    const Size blocks = wide / Lanes, panels = round_up(symbols, Wide) / Wide;
    const Size of_layer = batch * wide, of_step = layers * of_layer;
    // The outputs of the layers, in turn the step's and those of the step before
    Scratch<Real> now(of_step);
    Scratch<Part> parts(2 * of_step);
    if (!now.at || !parts.at) return -1;
    for (Size i = 0; i < of_step; i++) parts.at[i] = parts.at[of_step + i] = Kind::to_part(h[i]);
    Size done = 0;
    bool failed = false, starved = false;
    Barrier all_here;
    in_parallel(threads, [&](Size rank, Size ranks) {
        const Share mine(blocks, rank, ranks), outputs(panels, rank, ranks), texts(batch, rank, ranks);
        const Row row(batch, mine.to - mine.from, symbols);
        if (!row.has_memory()) __atomic_store_n(&starved, true, __ATOMIC_RELAXED);
        all_here.wait(ranks);
        for (Size s = 0; s < count && !starved; s++) {
            const int64_t *reading = s ? written + (s - 1) * batch : first;
            Part *before = parts.at + (s & 1) * of_step, *after = parts.at + (~s & 1) * of_step;
            for (Size l = 0; l < layers; l++) {
                const Part *below = l ? after + (l - 1) * of_layer : after;
                Real *h_out = (Kind::Pair > 1 ? now.at : (Real *)after) + l * of_layer;
                layer(l, reading, below, before + l * of_layer, h_out, after + l * of_layer, mine.from,
                      mine.to, row);
                all_here.wait(ranks);
            }
            output(after + (layers - 1) * of_layer, outputs.from, outputs.to, row);
            all_here.wait(ranks);
            for (Size r = texts.from; r < texts.to; r++) {
                const Size choice =
                    choose(logits + r * all, uniforms[s * batch + r], row.scores.at, row.order.at);
                written[s * batch + r] = choice;
                if (choice < 0) __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
            }
            all_here.wait(ranks);
            if (failed) break;
            if (rank == 0) done = s + 1;
        }
    });
    if (starved) return -1;
    // the last outputs, which the next call goes on from
    for (Size i = 0; i < of_step; i++)
        h[i] = Kind::Pair > 1 ? now.at[i] : (Real)parts.at[(done & 1) * of_step + i];
    return done;
}
