/* libFuzzer target: any input and any latency, in any order, leave the selector within its table. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    dd_state state;
    dd_reset(&dd_schedule, &state);
    while (size >= sizeof(dd_input) + sizeof(uint64_t) + 1) {
        dd_input in;
        uint64_t latency;
        memcpy(&in, data, sizeof in);
        memcpy(&latency, data + sizeof in, sizeof latency);
        if (dd_decide(&dd_schedule, &state, &in) >= DD_CONFIGURATIONS) abort();
        dd_observe(&dd_schedule, &state, data[sizeof in + sizeof latency], latency);
        if (dd_slowdown(&dd_schedule, &state) - 1024 > DD_SLOWEST - 1024) abort();
        data += sizeof in + sizeof latency + 1;
        size -= sizeof in + sizeof latency + 1;
    }
    return 0;
}
