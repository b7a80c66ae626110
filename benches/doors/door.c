/* Times calls through the C library.
 *
 * Arguments: the files of rules, devices and workload. Each line of input is `CALL TIMES`; the answer is a line with the
 * nanoseconds that so many calls took, loop included, and with how many allocations they made where count.c is loaded. */

#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <slotwise.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of count.c, if that is there. */
extern uint64_t slotwise_counted(void) __attribute__((weak));

static slotwise_error *error;

static void check(uint32_t code) {
    if (code != SLOTWISE_OK) {
        fprintf(stderr, "%s\n", slotwise_error_text(error));
        exit(1);
    }
}

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

struct text {
    char *data;
    size_t len;
};

static struct text read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    long size;
    struct text text;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0)
        fail("cannot read a file");
    text.len = (size_t)size;
    text.data = malloc(text.len + 1);
    if (text.data == NULL || fread(text.data, 1, text.len, file) != text.len) fail("cannot read a file");
    fclose(file);
    return text;
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int main(int argc, char **argv) {
    struct text rules, devices, wanted;
    slotwise_specs *specs;
    slotwise_tracker *tracker;
    slotwise_workload *workload;
    slotwise_string report;
    char call[16];
    uint64_t times;

    if (argc != 4) fail("give the files of rules, devices and workload");
    rules = read_file(argv[1]);
    devices = read_file(argv[2]);
    wanted = read_file(argv[3]);
    check(slotwise_specs_parse(rules.data, rules.len, false, &specs, &error));
    check(slotwise_tracker_new(specs, NULL, 0, &tracker, &error));
    check(slotwise_tracker_sync(tracker, devices.data, devices.len, &report, &error));
    check(slotwise_workload_parse(wanted.data, wanted.len, &workload, &error));

    while (scanf("%15s %" SCNu64, call, &times) == 2) {
        uint64_t before = slotwise_counted ? slotwise_counted() : 0;
        int64_t start = now();
        if (strcmp(call, "version") == 0) {
            for (uint64_t i = 0; i < times; i++) {
                uint64_t version;
                check(slotwise_tracker_version(tracker, &version, &error));
            }
        } else if (strcmp(call, "fit") == 0) {
            for (uint64_t i = 0; i < times; i++) {
                uint32_t outcome;
                check(slotwise_tracker_fit(tracker, workload, &outcome, NULL, &error));
                if (outcome != SLOTWISE_OUTCOME_FITS) fail("the workload must fit");
            }
        } else {
            fail("there is no such call");
        }
        start = now() - start;
        if (slotwise_counted) {
            printf("%" PRId64 " %" PRIu64 "\n", start, slotwise_counted() - before);
        } else {
            printf("%" PRId64 "\n", start);
        }
        fflush(stdout);
    }

    slotwise_string_free(&report);
    slotwise_workload_free(workload);
    slotwise_tracker_free(tracker);
    slotwise_specs_free(specs);
    free(rules.data);
    free(devices.data);
    free(wanted.data);
    return 0;
}
