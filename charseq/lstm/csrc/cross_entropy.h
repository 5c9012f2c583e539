// The output layer with the cross-entropy of its softmax (cross_entropy.py): the logits of some rows at
// a time, which become their gradient while they are in the cache.
#pragma once

#include "products.h"

template <typename Kind> struct CrossEntropy {
    using Real = typename Kind::Real;
    using Part = typename Kind::Part;
    using Vector = typename Kind::Vector;
    static constexpr Size Lanes = Kind::Lanes;

    // CrossEntropy of kernel.py has the same fields in the same order.
    Size rows, inputs, symbols, threads;
    const Real *x;         // (rows, inputs)
    const Part *weights;   // (symbols, inputs), packed forward
    const Real *bias;      // (wide): `symbols` rounded up to Lanes; minus infinity behind them
    const int64_t *targets; // (rows)
    double smoothing;
    Real *d_logits; // (rows, wide): of the sum over the rows; what stands behind the symbols is finite

    // *loss becomes the sum over the rows, in nats. Returns as Layer's passes do.
    Size run(double *loss) const {
        for (Size row = 0; row < rows; row++)
            if (targets[row] < 0 || targets[row] >= symbols) return 2;
        const Size wide = round_up(symbols, Lanes);
        Scratch<double> losses(rows); // summed in one order, whatever thread each is from
        if (!losses.at) return 1;
        const auto failed = product<Kind>(rows, inputs, wide, x, weights, bias, threads, d_logits,
                                          [&](Size row, Size count, Real *logits) {
                                              for (Size r = row; r < row + count; r++, logits += wide)
                                                  losses.at[r] = of_row(targets[r], logits);
                                          });
        *loss = 0;
        for (Size row = 0; row < rows; row++) *loss += losses.at[row];
        return failed;
    }

  private:
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
        for (Size v = 0; v < wide; v += Lanes) {
            const Vector e = exponential<Kind>(Kind::load(z + v) - peak);
            sums += e;
            Kind::store(z + v, e);
        }
        Real sum = 0;
        for (Size lane = 0; lane < Lanes; lane++) sum += sums[lane];
        const Vector each = Vector{} + Real(smoothing / double(symbols));
        for (Size v = 0; v < wide; v += Lanes) Kind::store(z + v, Kind::load(z + v) / sum - each);
        z[target] -= Real(1 - smoothing);
        return std::log(double(sum)) - (1 - smoothing) * right - smoothing / double(symbols) * all;
    }
};
