/* Decide and observe, inlined once each: the code that an application pays for. */
#include "depthdial_selector.h"

uint8_t decide(const dd_table *table, dd_state *state, const dd_input *input);
void observe(const dd_table *table, dd_state *state, uint8_t configuration, uint64_t latency_ns);

uint8_t decide(const dd_table *table, dd_state *state, const dd_input *input) {
    return dd_decide(table, state, input);
}

void observe(const dd_table *table, dd_state *state, uint8_t configuration, uint64_t latency_ns) {
    dd_observe(table, state, configuration, latency_ns);
}
