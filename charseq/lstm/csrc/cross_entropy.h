// The output layer with the cross-entropy of its softmax (cross_entropy.py): the logits of some rows at
// a time, which become their gradient while they are in the cache.
#pragma once

#include "pack.h"

template <typename Kind> struct CrossEntropy {
    using Real = typename Kind::Real;
    using Part = typename Kind::Part;
    using Vector = typename Kind::Vector;
    static constexpr Size Lanes = Kind::Lanes;

    // CrossEntropy of kernel.py has the same fields in the same order.
    Size rows, inputs, symbols, threads;
    const Real *x;            // (rows, inputs)
    const Real *weight, *bias; // (symbols, inputs), (symbols)
    const int64_t *targets;   // (rows)
    double smoothing;
    Real *d_logits; // (rows, wide), of the sum over the rows; what stands behind the symbols is finite
    double d_loss;
    Real *d_x, *d_weight, *d_bias; // d_x is null where it is not wanted

    // *loss becomes the sum over the rows, in nats. Both return as Layer's passes do.
    Size forward(double *loss) const {
        for (Size row = 0; row < rows; row++)
            if (targets[row] < 0 || targets[row] >= symbols) return 2;
        const Size wide = order().columns();
        Scratch<Part> packed(packed_size(order(), inputs));
        Scratch<Real> padded(wide);
        Scratch<double> losses(rows); // summed in one order, whatever thread each is from
        if (!packed.at || !padded.at || !losses.at) return 1;
        pack_forward<Kind>(weight, order(), inputs, threads, packed.at);
        for (Size v = 0; v < wide; v++) padded.at[v] = v < symbols ? bias[v] : -INFINITY;
        if (!product<Kind>(rows, inputs, wide, x, packed.at, padded.at, threads, d_logits,
                           [&](Size row, Size count, Real *logits) {
                               for (Size r = row; r < row + count; r++, logits += wide)
                                   losses.at[r] = of_row(targets[r], logits);
                           }))
            return 1;
        *loss = 0;
        for (Size row = 0; row < rows; row++) *loss += losses.at[row];
        return 0;
    }

    Size backward() const {
        const Size wide = order().columns();
        const Real scale = Real(d_loss);
        Scratch<Part> packed(packed_size_backward(order(), inputs));
        Scratch<Real> scaled(symbols * inputs), turned(inputs * wide);
        if (!packed.at || !scaled.at || !turned.at) return 1;
        if (d_x) {
            for (Size i = 0; i < symbols * inputs; i++) scaled.at[i] = weight[i] * scale;
            pack_backward<Kind>(scaled.at, order(), inputs, threads, packed.at);
            if (!product<Kind>(rows, wide, inputs, d_logits, packed.at, nullptr, threads, d_x)) return 1;
        }
        // Its transpose: the threads share the columns of x, as those of the logits are few
        if (!WeightGradient<Kind>{rows, inputs, wide, {inputs, 1}, x, d_logits, turned.at, nullptr}.run(threads))
            return 1;
        for (Size v = 0; v < symbols; v++)
            for (Size i = 0; i < inputs; i++) d_weight[v * inputs + i] = turned.at[i * wide + v] * scale;
        const Size vectors = wide / Lanes;
        in_parallel(threads < vectors ? threads : vectors, [&](Size rank, Size ranks) {
            const Share mine(vectors, rank, ranks);
            for (Size at = mine.from * Lanes; at < mine.to * Lanes; at += Lanes) {
                Vector sum{};
                for (Size start = 0; start < rows; start += 32) { // the fewer follow, the less is rounded
                    Vector some{};
                    for (Size row = start; row < start + 32 && row < rows; row++)
                        some += Kind::load(d_logits + row * wide + at);
                    sum += some;
                }
                Kind::store_some(d_bias + at, sum * scale, symbols - at);
            }
        });
        return 0;
    }

  private:
    Order<Kind> order() const { return {symbols, 1}; }

    // The target is a distribution q: what is left of 1 - smoothing on the right symbol, the rest on
    // all alike. With p = softmax(z) the loss is -sum q log p, and d_z = p - q.
    double of_row(Size target, Real *z) const {
        const Size wide = round_up(symbols, Lanes);
        Vector highest = Kind::load(z);
        for (Size v = Lanes; v < wide; v += Lanes) {
            const Vector here = Kind::load(z + v);
            highest = here > highest ? here : highest;
        }
        Real peak = highest[0];
        for (Size lane = 1; lane < Lanes; lane++) peak = highest[lane] > peak ? highest[lane] : peak;
        const double right = double(z[target]) - peak;
        double all = 0; // sum of z_v - peak
        for (Size v = 0; v < symbols && smoothing > 0; v++) all += double(z[v]) - peak;
        Vector sums{};
        by_four(wide / Lanes, [&](auto number, Size first) {
            Vector e[number];
            for (int v = 0; v < number; v++) e[v] = Kind::load(z + (first + v) * Lanes) - peak;
            exponential<Kind>(e);
            for (int v = 0; v < number; v++) {
                sums += e[v];
                Kind::store(z + (first + v) * Lanes, e[v]);
            }
        });
        Real sum = 0;
        for (Size lane = 0; lane < Lanes; lane++) sum += sums[lane];
        const Vector each = Vector{} + Real(smoothing / double(symbols));
        for (Size v = 0; v < wide; v += Lanes) Kind::store(z + v, Kind::load(z + v) / sum - each);
        z[target] -= Real(1 - smoothing);
        return std::log(double(sum)) - (1 - smoothing) * right - smoothing / double(symbols) * all;
    }
};
