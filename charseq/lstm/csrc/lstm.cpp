// The C interface that charseq/lstm/kernel.py loads. Numbers are pointers to contiguous memory.

#include "cross_entropy.h"
#include "layer.h"
#include "stream.h"

#pragma GCC visibility push(default)
extern "C" {

void charseq_use_openmp(void (*gomp_parallel)(void (*)(void *), void *, unsigned, unsigned),
                        int (*omp_get_thread_num)(), int (*omp_get_num_threads)()) {
    team_run = gomp_parallel;
    team_rank = omp_get_thread_num;
    team_size = omp_get_num_threads;
}

Size charseq_vector_bytes() { return VectorBytes; }

// Each for a kind of arithmetic. Passes return 0, 1 when memory ran out, 2 for an id or length out of
// its range.
#define INTERFACE(Kind, kind)                                                                          \
    Size charseq_forward_##kind(const Layer<Kind> *layer) { return layer->forward(); }                 \
    Size charseq_backward_##kind(const Layer<Kind> *layer) { return layer->backward(); }               \
    Size charseq_cross_entropy_##kind(const CrossEntropy<Kind> *given, double *loss) {                 \
        return given->forward(loss);                                                                   \
    }                                                                                                  \
    Size charseq_cross_entropy_backward_##kind(const CrossEntropy<Kind> *given) {                      \
        return given->backward();                                                                      \
    }                                                                                                  \
    Size charseq_pack_forward_##kind(const Kind::Real *weight, Size units, Size gates, Size inputs,    \
                                     Size threads, Kind::Part *packed) {                               \
        pack_forward<Kind>(weight, {units, gates}, inputs, threads, packed);                           \
        return 0;                                                                                      \
    }                                                                                                  \
    Size charseq_write_##kind(const Stream<Kind> *stream, const int64_t *first, Size count,            \
                              const double *uniforms, int64_t *written) {                              \
        return stream->write(first, count, uniforms, written);                                         \
    }

INTERFACE(Float, float32)
INTERFACE(Double, float64)
#if defined(__AVX512BF16__)
INTERFACE(Bfloat16, bfloat16)
#endif
}
#pragma GCC visibility pop
