/* A device plugin made of slotwise: nodes are trackers, jobs are owners. C11, and C++17 as it is.
 *
 * It keeps no global state, starts no thread and registers nothing, and neither does slotwise: when the scheduler has closed
 * what it opened, the whole is gone with dlclose(). */
#include <slotwise.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "placer.h"

enum { MAX_NODES = 64 };

struct placer {
    slotwise_specs *specs;
    slotwise_aliases *aliases;
    size_t nodes;
    char names[MAX_NODES][64];
    slotwise_tracker *trackers[MAX_NODES];
};

/* Tells the scheduler what was wrong, and where. */
static enum placer_answer failed(slotwise_error *error, char *why, size_t why_size) {
    snprintf(why, why_size, "%s", slotwise_error_text(error));
    slotwise_error_free(error);
    return PLACER_BAD_INPUT;
}

static slotwise_tracker *find(const placer *self, const char *node, char *why, size_t why_size) {
    for (size_t i = 0; i < self->nodes; i++) {
        if (strcmp(self->names[i], node) == 0) return self->trackers[i];
    }
    snprintf(why, why_size, "there is no node %s", node);
    return NULL;
}

/* "nic:2" as a workload. */
static slotwise_workload *workload_of(const placer *self, const char *wanted, slotwise_error **error) {
    slotwise_string requests = {NULL, 0};
    slotwise_workload *workload = NULL;
    char *document;
    size_t size;
    if (slotwise_aliases_requests(self->aliases, wanted, strlen(wanted), NULL, 0, &requests, error) != SLOTWISE_OK) {
        return NULL;
    }
    size = requests.len + sizeof "{\"requests\":}";
    document = (char *)malloc(size);
    if (document != NULL) {
        int len = snprintf(document, size, "{\"requests\":%s}", requests.data);
        (void)slotwise_workload_parse(document, (size_t)len, &workload, error);
        free(document);
    }
    slotwise_string_free(&requests);
    return workload;
}

static void placer_close(placer *self) {
    if (self == NULL) return;
    for (size_t i = 0; i < self->nodes; i++) slotwise_tracker_free(self->trackers[i]);
    slotwise_aliases_free(self->aliases);
    slotwise_specs_free(self->specs);
    free(self);
}

static placer *placer_open(const char *config, char *why, size_t why_size) {
    slotwise_error *error = NULL;
    slotwise_config *parsed = NULL;
    placer *self = (placer *)calloc(1, sizeof *self);
    if (self == NULL) return NULL;
    if (slotwise_config_parse(SLOTWISE_LITERAL("nova.conf"), config, strlen(config), &parsed, &error) != SLOTWISE_OK
        || slotwise_config_specs(parsed, &self->specs, &error) != SLOTWISE_OK
        || slotwise_config_aliases(parsed, &self->aliases, &error) != SLOTWISE_OK) {
        failed(error, why, why_size);
        placer_close(self);
        self = NULL;
    }
    slotwise_config_free(parsed);
    return self;
}

static enum placer_answer placer_add_node(placer *self, const char *node, const char *devices, char *why,
                                          size_t why_size) {
    slotwise_error *error = NULL;
    slotwise_tracker *tracker = NULL;
    slotwise_string report = {NULL, 0};
    if (self->nodes == MAX_NODES || strlen(node) >= sizeof self->names[0]) {
        snprintf(why, why_size, "too many nodes, or too long a name");
        return PLACER_BAD_INPUT;
    }
    if (slotwise_tracker_new(self->specs, NULL, 0, &tracker, &error) != SLOTWISE_OK
        || slotwise_tracker_sync(tracker, devices, strlen(devices), &report, &error) != SLOTWISE_OK) {
        slotwise_tracker_free(tracker);
        return failed(error, why, why_size);
    }
    slotwise_string_free(&report);
    strcpy(self->names[self->nodes], node);
    self->trackers[self->nodes++] = tracker;
    return PLACER_YES;
}

static enum placer_answer placer_check(const placer *self, const char *node, const char *wanted, char *why,
                                       size_t why_size) {
    slotwise_error *error = NULL;
    uint32_t code, outcome = SLOTWISE_OUTCOME_NO_FIT;
    slotwise_tracker *tracker = find(self, node, why, why_size);
    slotwise_workload *workload;
    if (tracker == NULL) return PLACER_BAD_INPUT;
    workload = workload_of(self, wanted, &error);
    if (workload == NULL) return failed(error, why, why_size);
    code = slotwise_tracker_fit(tracker, workload, &outcome, NULL, &error);
    slotwise_workload_free(workload);
    if (code != SLOTWISE_OK) return failed(error, why, why_size);
    return outcome == SLOTWISE_OUTCOME_FITS ? PLACER_YES : PLACER_NO;
}

static enum placer_answer placer_reserve(placer *self, const char *node, const char *job, const char *wanted,
                                         char *why, size_t why_size) {
    slotwise_error *error = NULL;
    uint32_t code, outcome = SLOTWISE_OUTCOME_NO_FIT;
    slotwise_string fit = {NULL, 0};
    slotwise_tracker *tracker = find(self, node, why, why_size);
    slotwise_workload *workload;
    if (tracker == NULL) return PLACER_BAD_INPUT;
    workload = workload_of(self, wanted, &error);
    if (workload == NULL) return failed(error, why, why_size);
    code = slotwise_tracker_claim(tracker, job, strlen(job), workload, &outcome, &fit, &error);
    slotwise_workload_free(workload);
    if (code != SLOTWISE_OK) return failed(error, why, why_size);
    snprintf(why, why_size, "%s", fit.data);
    slotwise_string_free(&fit);
    return outcome == SLOTWISE_OUTCOME_FITS ? PLACER_YES : PLACER_NO;
}

static enum placer_answer placer_release(placer *self, const char *node, const char *job, char *why,
                                         size_t why_size) {
    slotwise_error *error = NULL;
    slotwise_string addresses = {NULL, 0};
    slotwise_tracker *tracker = find(self, node, why, why_size);
    if (tracker == NULL) return PLACER_BAD_INPUT;
    if (slotwise_tracker_free_owner(tracker, job, strlen(job), NULL, 0, &addresses, &error) != SLOTWISE_OK) {
        return failed(error, why, why_size);
    }
    slotwise_string_free(&addresses);
    return PLACER_YES;
}

static const placer_table TABLE = {
    PLACER_VERSION, sizeof(placer_table), placer_open,    placer_add_node,
    placer_check,   placer_reserve,       placer_release, placer_close,
};

#ifdef __cplusplus
extern "C"
#endif
__attribute__((visibility("default"))) const placer_table *placer_plugin(uint32_t version);

const placer_table *placer_plugin(uint32_t version) { return version == PLACER_VERSION ? &TABLE : NULL; }
