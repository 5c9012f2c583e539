// Threads: those of the OpenMP runtime that torch has brought into the process.
//
// A second runtime would be a second team of threads on the same cores, so none is linked: Python
// hands over the functions of the one that is there. Without them there is one thread.
#pragma once

#include "vectors.h"

namespace {
void (*team_run)(void (*)(void *), void *, unsigned, unsigned); // GOMP_parallel
int (*team_rank)();                                             // omp_get_thread_num
int (*team_size)();                                             // omp_get_num_threads
} // namespace

// Run work(rank, threads) for every rank; the runtime may give fewer threads than are asked for.
template <typename Work> void in_parallel(Size threads, Work work) {
    if (threads > 1 && team_run)
        team_run([](void *w) { (*(Work *)w)(team_rank(), team_size()); }, &work, unsigned(threads), 0);
    else
        work(0, 1);
}

// The part [from, to) of n that belongs to a rank.
struct Share {
    Size from, to;
    Share(Size n, Size rank, Size threads) : from(n * rank / threads), to(n * (rank + 1) / threads) {}
};
