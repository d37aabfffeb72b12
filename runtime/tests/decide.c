/* Reads decisions from standard input, one per line, and prints what the selector answers: the rest of the
 * tests compare that with the Python selector.
 *
 *     d value0 ... value5 planned age_ms     decide; prints the configuration
 *     o configuration latency_ns             observe; prints the slowdown in 1024ths
 *     r                                      reset; prints 0
 */
#include <inttypes.h>
#include <stdio.h>

#include "schedule.h"

int main(void) {
    dd_state state;
    char line[512], kind;
    dd_reset(&dd_schedule, &state);
    while (fgets(line, sizeof line, stdin) != NULL) {
        dd_input in;
        uint64_t configuration, latency;
        if (sscanf(line, "%c", &kind) != 1) return 1;
        if (kind == 'r') {
            dd_reset(&dd_schedule, &state);
            puts("0");
        } else if (kind == 'o') {
            if (sscanf(line, "o %" SCNu64 " %" SCNu64, &configuration, &latency) != 2) return 1;
            dd_observe(&dd_schedule, &state, (uint8_t)configuration, latency);
            printf("%" PRIu64 "\n", dd_slowdown(&dd_schedule, &state));
        } else {
            if (sscanf(line,
                       "d %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                       " %" SCNu32,
                       &in.value[0], &in.value[1], &in.value[2], &in.value[3], &in.value[4], &in.value[5],
                       &in.planned, &in.age_ms) != 8)
                return 1;
            printf("%d\n", dd_decide(&dd_schedule, &state, &in));
        }
    }
    return 0;
}
