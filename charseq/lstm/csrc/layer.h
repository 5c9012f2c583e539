// One LSTM layer over a sequence: what a walk through time needs, and the gradients of the weights.
//
// What comes in and goes out is laid out as torch has it, gates in the order i, f, g, o; only `gates`
// and `c`, which the backward pass finds again, are as walk.h wants them.
#pragma once

#include "pack.h"
#include "walk.h"

template <typename Kind> struct Layer {
    using Real = typename Kind::Real;
    using Part = typename Kind::Part;
    static constexpr Size Lanes = Kind::Lanes;

    // Layer of kernel.py has the same fields in the same order.
    Size steps, batch, units;
    Size inputs;                              // features of x, or how many symbols there are
    Size reverse, threads;
    Size keep;                                // whether a backward pass will follow
    const int64_t *lengths;                   // (B,), or null: all sequences have `steps` steps
    const int64_t *ids;                       // (T, B) symbols; or null:
    const Real *x;                            // (T, B, inputs)
    const Real *weight_ih, *weight_hh, *bias; // (4 units, inputs), (4 units, units), (4 units)
    const Real *h_0, *c_0;                    // (B, units)
    const Real *updates;                      // (T, B, units), 0 or 1: zoneout, see walk.h; or null:
    double update;                            // one for all
    Real *gates, *c;                          // (T, B, 4 wide), (T, B, wide); null where nothing is kept
    Real *h;          // (T + 1, B, units): h_0, then the outputs; in reverse h_0 stands behind them
    Real *h_n, *c_n;  // (B, units)
    const Real *d_output, *d_h_n, *d_c_n;
    Real *d_x;        // null where it is not wanted, or with ids
    Real *d_h_0, *d_c_0, *d_weight_ih, *d_weight_hh, *d_bias;

    // 0; 1 when memory ran out; 2 when an id or a length is out of its range
    Size forward() const;
    Size backward() const;

  private:
    Size rows() const { return steps * batch; }
    Size wide() const { return round_up(units, Lanes); }
    Size step() const { return batch * units; } // of h
    Order<Kind> order() const { return {units, 4}; }
    // In reverse a sequence that is shorter begins where h holds the zeros of padding, not h_0
    bool starts_ragged() const { return reverse && lengths; }
    bool in_range() const;
    Walk<Kind> walk(const Part *recurrent, const Part *projection, const Real *c_first) const;
    void clear_padding(Real *of, Size width) const;
    bool weight_gradients(const Real *d_z) const;
};

// (B, units) to (B, wide), zeros behind the units; and back.
template <typename Real> void widen(const Real *from, Size batch, Size units, Size wide, Real *to) {
    for (Size row = 0; row < batch; row++, from += units, to += wide) {
        std::memcpy(to, from, size_t(units) * sizeof(Real));
        std::memset(to + units, 0, size_t(wide - units) * sizeof(Real));
    }
}
template <typename Real> void narrow(const Real *from, Size batch, Size units, Size wide, Real *to) {
    for (Size row = 0; row < batch; row++)
        std::memcpy(to + row * units, from + row * wide, size_t(units) * sizeof(Real));
}

// A wrong id or length would read somebody else's memory.
template <typename Kind> bool Layer<Kind>::in_range() const {
    for (Size row = 0; lengths && row < batch; row++)
        if (lengths[row] < 1 || lengths[row] > steps) return false;
    for (Size i = 0; ids && i < rows(); i++)
        if (ids[i] < 0 || ids[i] >= inputs) return false;
    return true;
}

template <typename Kind>
Walk<Kind> Layer<Kind>::walk(const Part *recurrent, const Part *projection, const Real *c_first) const {
    Walk<Kind> walk{};
    walk.steps = steps, walk.batch = batch, walk.units = units, walk.inputs = inputs;
    walk.reverse = reverse, walk.threads = threads, walk.lengths = lengths;
    walk.weight_hh = recurrent, walk.weight_ih = projection, walk.c_0 = c_first;
    walk.gates = gates, walk.c = c;
    walk.updates = updates, walk.update = updates ? Real(1) : Real(update);
    return walk;
}

// Zeros where a sequence has ended, in (T, B, width).
template <typename Kind> void Layer<Kind>::clear_padding(Real *of, Size width) const {
    for (Size row = 0; lengths && row < batch; row++)
        for (Size t = lengths[row]; t < steps; t++)
            std::memset(of + (t * batch + row) * width, 0, size_t(width) * sizeof(Real));
}

template <typename Kind> Size Layer<Kind>::forward() const {
    if (!in_range()) return 2;
    const Size columns = order().columns();
    Scratch<Part> recurrent(packed_size(order(), units)), projection(ids ? 0 : packed_size(order(), inputs));
    Scratch<Real> table((ids ? inputs : 1) * columns), c_first(batch * wide());
    Scratch<Real> own_c(keep ? 0 : batch * wide());
    if (!recurrent.at || !projection.at || !table.at || !c_first.at || !own_c.at) return 1;
    pack_forward<Kind>(weight_hh, order(), units, threads, recurrent.at);
    if (ids) {
        tabulate<Kind>(weight_ih, bias, order(), inputs, threads, table.at);
    } else {
        tabulate<Kind>(bias, nullptr, order(), 1, 1, table.at);
        pack_forward<Kind>(weight_ih, order(), inputs, threads, projection.at);
    }
    widen(c_0, batch, units, wide(), c_first.at);
    Real *const output = reverse ? h : h + step(), *const first = reverse ? h + rows() * units : h;
    if (starts_ragged())
        std::memset(first, 0, size_t(step()) * sizeof(Real));
    else
        std::memcpy(first, h_0, size_t(step()) * sizeof(Real));
    clear_padding(output, units);

    Walk<Kind> walk = this->walk(recurrent.at, projection.at, c_first.at);
    walk.keep = keep, walk.ids = ids, walk.x = x, walk.table = table.at;
    walk.h_0 = h_0, walk.output = output;
    if (!keep) walk.c = own_c.at;
    if (!walk.forward()) return 1;
    for (Size row = 0; row < batch; row++) {
        const Size last = walk.place(row, walk.length(row) - 1);
        std::memcpy(h_n + row * units, output + last * units, size_t(units) * sizeof(Real));
        std::memcpy(c_n + row * units, walk.c + (keep ? last : row) * wide(), size_t(units) * sizeof(Real));
    }
    return 0;
}

template <typename Kind> Size Layer<Kind>::backward() const {
    if (!in_range()) return 2;
    const Size columns = order().columns();
    Scratch<Part> recurrent(packed_size_backward(order(), units));
    Scratch<Part> projection(d_x ? packed_size_backward(order(), inputs) : 0);
    Scratch<Real> d_z(rows() * columns), d_h(batch * wide()), d_c(batch * wide()), c_first(batch * wide());
    if (!recurrent.at || !projection.at || !d_z.at || !d_h.at || !d_c.at || !c_first.at) return 1;
    pack_backward<Kind>(weight_hh, order(), units, threads, recurrent.at);
    if (d_x) {
        pack_backward<Kind>(weight_ih, order(), inputs, threads, projection.at);
        clear_padding(d_x, inputs);
    }
    clear_padding(d_z.at, columns);
    widen(c_0, batch, units, wide(), c_first.at);
    widen(d_h_n, batch, units, wide(), d_h.at);
    widen(d_c_n, batch, units, wide(), d_c.at);
    Walk<Kind> walk = this->walk(recurrent.at, projection.at, c_first.at);
    walk.d_output = d_output, walk.d_h = d_h.at, walk.d_c = d_c.at, walk.d_z = d_z.at, walk.d_x = d_x;
    if (!walk.backward()) return 1;
    narrow(d_h.at, batch, units, wide(), d_h_0);
    narrow(d_c.at, batch, units, wide(), d_c_0);
    return !weight_gradients(d_z.at);
}

// 1'. The weights are the same at every t: their gradients are one product over T * B.
template <typename Kind> bool Layer<Kind>::weight_gradients(const Real *d_z) const {
    const Size columns = order().columns();
    // h_{t-1} of every step stands a step before h_t; in reverse, behind it
    const Real *before = reverse ? h + step() : h;
    WeightGradient<Kind> gradient{rows(), columns, units, order(), d_z, before, d_weight_hh, d_bias};
    if (ids) gradient.ids = ids, gradient.symbols = inputs, gradient.d_of_ids = d_weight_ih;
    if (!gradient.run(threads)) return false;
    if (starts_ragged()) {
        Scratch<Real> firsts(batch * columns);
        if (!firsts.at) return false;
        for (Size row = 0; row < batch; row++)
            std::memcpy(firsts.at + row * columns, d_z + ((lengths[row] - 1) * batch + row) * columns,
                        size_t(columns) * sizeof(Real));
        WeightGradient<Kind> first{batch, columns, units, order(), firsts.at, h_0, d_weight_hh, nullptr};
        first.adds = true;
        if (!first.run(threads)) return false;
    }
    return ids || WeightGradient<Kind>{rows(), columns, inputs, order(), d_z, x, d_weight_ih, nullptr}.run(threads);
}
