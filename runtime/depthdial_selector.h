/* depthdial: the selector. Looks up the configuration for the present conditions in a generated table.
 *
 * C99 or later, and C++. Header only, freestanding: no malloc, no libc, integers only, no division. All state
 * is the caller's (one dd_state per stream of inferences), so the functions are reentrant.
 *
 *     #include "schedule.h"               // generated: dd_schedule, and it includes this file
 *     dd_state state;
 *     dd_reset(&dd_schedule, &state);
 *     for (;;) {
 *         uint8_t c = dd_decide(&dd_schedule, &state, &input);   // index of a resident configuration
 *         ... run configuration c, took latency_ns ...
 *         dd_observe(&dd_schedule, &state, c, latency_ns);
 *     }
 *
 * Configurations are numbered fastest first; 0 is the fail-safe one. depthdial/schedule/selector.py is the same
 * in Python, number for number. SPDX-License-Identifier: Apache-2.0 */
#ifndef DEPTHDIAL_SELECTOR_H
#define DEPTHDIAL_SELECTOR_H

#include <stdint.h>

#define DD_TABLE_VERSION 1

/* A value that is not known: of a sensor that failed, of a conversion from NaN. */
#define DD_UNKNOWN UINT64_MAX
/* Greatest value of an input; anything above is out of range. */
#define DD_LARGEST ((UINT64_C(1) << 48) - 1)
/* Greatest slowdown, in 1024ths. */
#define DD_SLOWEST UINT64_C(32767)

enum {
    DD_RESERVE,     /* energy left; dd_input.planned is what the plan needs for the rest of the horizon */
    DD_BATTERY,     /* charge left, permille of the full charge */
    DD_TEMPERATURE, /* tenths of a kelvin */
    DD_SLOWDOWN,    /* 1024ths of the measured latency; used only where the selector does not estimate it */
    DD_RATE,        /* arrivals, millihertz */
    DD_DEADLINE,    /* nanoseconds */
    DD_AXES
};

/* Axes whose levels are the least values of their cells; of the others they are the greatest. */
#define DD_FLOORS (1u << DD_RESERVE | 1u << DD_BATTERY | 1u << DD_DEADLINE)

typedef struct dd_table {
    const uint64_t *levels;      /* the levels of all axes, one axis after the other, each ascending */
    const uint8_t *cells;        /* the configuration of every cell, last axis fastest */
    const uint64_t *median_ns;   /* median latency of every configuration */
    const uint64_t *inverse;     /* 2^42 / median_ns */
    uint16_t count[DD_AXES];     /* number of levels of every axis; 0: the grid lacks it */
    uint16_t gain;               /* weight of a new latency in the estimated slowdown, 256ths; 0: no estimate */
    uint16_t margin;             /* mean absolute deviations added to the estimate, 16ths */
    uint16_t band;               /* width of the hysteresis, 1024ths of the inputs */
    uint16_t min_dwell;          /* decisions before a slower configuration may follow */
    uint32_t max_age_ms;         /* older inputs are stale; 0: never */
    uint8_t configurations;      /* number of configurations */
} dd_table;

typedef struct dd_state {
    uint64_t slowdown;  /* estimated slowdown, 2^-18 */
    uint64_t deviation; /* its mean absolute deviation, 2^-18 */
    uint32_t dwell;     /* decisions since the last change */
    uint8_t current;    /* configuration chosen last */
} dd_state;

typedef struct dd_input {
    uint64_t value[DD_AXES]; /* see the axes above; values of axes that the grid lacks are not read */
    uint64_t planned;        /* energy that the plan needs for the rest of the horizon, in the unit of DD_RESERVE */
    uint32_t age_ms;         /* age of the oldest value */
} dd_input;

/* Start a stream: no slowdown, fail-safe configuration, free to change. */
static inline void dd_reset(const dd_table *table, dd_state *state) {
    state->slowdown = UINT64_C(1024) << 8;
    state->deviation = 0;
    state->dwell = table->min_dwell;
    state->current = 0;
}

/* The slowdown to reckon with, in 1024ths: the estimate and its margin, never below 1. */
static inline uint64_t dd_slowdown(const dd_table *table, const dd_state *state) {
    uint64_t slowdown = (state->slowdown + ((state->deviation * table->margin) >> 4)) >> 8;
    if (slowdown < 1024) slowdown = 1024;
    return slowdown > DD_SLOWEST ? DD_SLOWEST : slowdown;
}

/* The configuration of the cell in which the inputs lie; and, in *shrunk, of that in which they would lie if they
 * were worse by the band. Both in one pass without branches on the data, which no predictor could guess; a count
 * of levels, since for the few dozens of an axis the steps of a search would wait for each other. */
static inline uint8_t dd_look_up(const dd_table *table, const dd_state *state, const dd_input *input,
                                 uint8_t *shrunk) {
    const uint64_t slowdown = dd_slowdown(table, state);
    const uint64_t *level = table->levels;
    uint32_t cell = 0, worse = 0, out = 0;
    *shrunk = 0;
    for (unsigned axis = 0; axis < DD_AXES; ++axis) {
        const uint32_t count = table->count[axis];
        const uint32_t floor = (DD_FLOORS >> axis) & 1u;
        const uint64_t keep = floor ? 1024u - table->band : 1024u + table->band;
        uint64_t value = input->value[axis], unit = 1, scale = 1, less;
        uint32_t here = 0, there = 0;
        if (count == 0) continue;
        if (axis == DD_SLOWDOWN && table->gain != 0) value = slowdown;
        if (value > DD_LARGEST) return 0;
        if (axis == DD_RESERVE) {
            if (input->planned > DD_LARGEST) return 0;
            scale = input->planned;
            unit = 1000;
        } else if (axis == DD_DEADLINE && table->count[DD_SLOWDOWN] == 0) {
            scale = slowdown;
            unit = 1024;
        }
        /* Below a floor: levels at most the value; below a ceiling: levels less than the value. */
        less = ((value * keep) >> 10) * unit + floor;
        value = value * unit + floor;
        for (uint32_t i = 0; i < count; ++i) {
            const uint64_t product = level[i] * scale;
            here += product < value;
            there += product < less;
        }
        here -= floor; /* below the first floor it wraps; above the last ceiling it is count */
        there -= floor;
        out |= (uint32_t)(here >= count) | (uint32_t)(there >= count) << 1;
        cell = cell * count + here;
        worse = worse * count + there;
        level += count;
    }
    if (out < 2) *shrunk = table->cells[worse];
    return (out & 1) != 0 ? 0 : table->cells[cell];
}

/* The configuration for the next inference. A faster one is taken at once; a slower one after min_dwell
 * decisions, and only if it would also be taken with inputs worse by the band. Stale, unknown and out-of-range
 * inputs lead to configuration 0. */
static inline uint8_t dd_decide(const dd_table *table, dd_state *state, const dd_input *input) {
    uint8_t next = 0, shrunk = 0;
    if (table->max_age_ms == 0 || input->age_ms <= table->max_age_ms)
        next = dd_look_up(table, state, input, &shrunk);
    if (next > state->current && (shrunk <= state->current || state->dwell < table->min_dwell)) next = state->current;
    if (next != state->current) state->dwell = 0;
    else if (state->dwell < UINT32_MAX) ++state->dwell;
    state->current = next;
    return next;
}

/* Tell the estimate of the slowdown how long an inference with a configuration took. */
static inline void dd_observe(const dd_table *table, dd_state *state, uint8_t configuration,
                              uint64_t latency_ns) {
    const uint64_t gain = table->gain, rest = 256 - gain;
    uint64_t ratio = DD_SLOWEST, distance;
    if (configuration >= table->configurations) return;
    if (latency_ns < table->median_ns[configuration] << 4)
        ratio = (latency_ns * table->inverse[configuration]) >> 32;
    ratio <<= 8;
    /* Outliers count no more than a quarter off: the estimate follows the median, as the table's latencies do. */
    if (ratio > state->slowdown + (state->slowdown >> 2)) ratio = state->slowdown + (state->slowdown >> 2);
    if (ratio < state->slowdown - (state->slowdown >> 2)) ratio = state->slowdown - (state->slowdown >> 2);
    distance = ratio > state->slowdown ? ratio - state->slowdown : state->slowdown - ratio;
    state->slowdown = (state->slowdown * rest + ratio * gain) >> 8;
    state->deviation = (state->deviation * rest + distance * gain) >> 8;
    if (state->slowdown < DD_SLOWEST) state->slowdown = DD_SLOWEST; /* 1/8: it must not vanish */
}

/* A measured value as an integer: floors round down, ceilings (round_up = 1) up; NaN, negative and huge values
 * become DD_UNKNOWN. For hosts with floating point; nothing else here uses it. */
static inline uint64_t dd_encode(double value, uint32_t scale, int round_up) {
    const double scaled = value * (double)scale;
    uint64_t whole;
    if (!(scaled >= 0.0 && scaled <= (double)DD_LARGEST)) return DD_UNKNOWN;
    whole = (uint64_t)scaled;
    return whole + (round_up != 0 && (double)whole < scaled ? 1u : 0u);
}

#endif
