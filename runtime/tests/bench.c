/* Nanoseconds per decision on random inputs, and per decision with its observation. */
#define _POSIX_C_SOURCE 200112L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "schedule.h"

enum { INPUTS = 4096, ROUNDS = 250 };

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

int main(int argc, char **argv) {
    static dd_input inputs[INPUTS];
    static uint64_t latencies[INPUTS];
    const int observing = argc > 1;
    uint64_t seed = 88172645463325252u, sum = 0;
    dd_state state;
    double start, spent;
    (void)argv;
    dd_reset(&dd_schedule, &state);
    for (int i = 0; i < INPUTS; ++i) {
        const uint64_t *level = dd_schedule.levels;
        inputs[i].planned = 1000000;
        inputs[i].age_ms = 0;
        for (int axis = 0; axis < DD_AXES; ++axis) {
            const uint64_t count = dd_schedule.count[axis];
            const uint64_t last = count != 0 ? level[count - 1] : 1000;
            inputs[i].value[axis] = next(&seed) % (last + last / 4 + 1);
            if (axis == DD_RESERVE) inputs[i].value[axis] *= inputs[i].planned / 1000;
            level += count;
        }
        latencies[i] = dd_schedule.median_ns[0] + next(&seed) % dd_schedule.median_ns[0];
    }
    start = now_ns();
    for (int round = 0; round < ROUNDS; ++round)
        for (int i = 0; i < INPUTS; ++i) {
            const uint8_t c = dd_decide(&dd_schedule, &state, &inputs[i]);
            if (observing) dd_observe(&dd_schedule, &state, c, latencies[i]);
            sum += c;
        }
    spent = now_ns() - start;
    printf("%.3f %llu\n", spent / ((double)ROUNDS * INPUTS), (unsigned long long)sum);
    return 0;
}
