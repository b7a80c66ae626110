/* The C door of the conformance cases: speaks the wire protocol of the cases over stdin and stdout.
 *
 *   driver to door:  "call OP NARGS\n", then per argument "LEN\n", LEN bytes, "\n";  "reset\n" empties all slots
 *   door to driver:  "ok LEN\n" or "err LEN\n", LEN bytes of JSON, "\n"
 *
 * Arguments are passed through as they are: there is no JSON parser here, so that what is tested is the library. An op
 * that needs a slot that is empty is a fault of the case; it is told apart by its message.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slotwise.h"

enum { MAX_ARGS = 4 };

/* Returned by an op instead of a slotwise_code when the case itself is at fault. */
#define BAD_CASE UINT32_MAX

struct text {
    char *data;
    size_t len;
};

struct session {
    slotwise_specs *specs;
    slotwise_aliases *aliases;
    slotwise_pools *pools;
    slotwise_tracker *tracker;
    const char *fault; /* What is wrong with the case. */
};

struct result {
    char *data;
    size_t len;
    size_t capacity;
};

typedef uint32_t op(struct session *s, const struct text *a, struct result *r, slotwise_error **e);

static void die(const char *message) {
    fprintf(stderr, "runner: %s\n", message);
    exit(2);
}

static void *grown(void *data, size_t size) {
    void *bigger = realloc(data, size == 0 ? 1 : size);
    if (bigger == NULL) {
        die("out of memory");
    }
    return bigger;
}

static void add(struct result *r, const char *data, size_t len) {
    if (r->capacity - r->len < len) {
        r->capacity = 2 * r->capacity + len;
        r->data = grown(r->data, r->capacity);
    }
    if (len > 0) {
        memcpy(r->data + r->len, data, len);
    }
    r->len += len;
}

static void add_text(struct result *r, const char *text) { add(r, text, strlen(text)); }

/* Adds what the library gave, if the call succeeded, and frees it. */
static uint32_t take(struct result *r, uint32_t code, slotwise_string *text) {
    if (code == SLOTWISE_OK) {
        if (text->data[text->len] != '\0') {
            die("a text of the library does not end in NUL");
        }
        add(r, text->data, text->len);
    }
    slotwise_string_free(text);
    return code;
}

static uint32_t fault(struct session *s, const char *message) {
    s->fault = message;
    return BAD_CASE;
}

static uint32_t flag(struct session *s, const struct text *a, bool *value) {
    if (a->len == 0 || (a->len == 5 && memcmp(a->data, "false", 5) == 0)) {
        *value = false;
    } else if (a->len == 4 && memcmp(a->data, "true", 4) == 0) {
        *value = true;
    } else {
        return fault(s, "in C this argument is a bool, so the case can only give true or false");
    }
    return SLOTWISE_OK;
}

#define NEED(slot)                                         \
    if (s->slot == NULL) {                                 \
        return fault(s, "the slot " #slot " is empty here"); \
    }

#define ARG(n) a[n].data, a[n].len

static void set_specs(struct session *s, slotwise_specs *specs) {
    slotwise_specs_free(s->specs);
    s->specs = specs;
}

static void set_aliases(struct session *s, slotwise_aliases *aliases) {
    slotwise_aliases_free(s->aliases);
    s->aliases = aliases;
}

static void set_pools(struct session *s, slotwise_pools *pools) {
    slotwise_pools_free(s->pools);
    s->pools = pools;
}

static void set_tracker(struct session *s, slotwise_tracker *tracker) {
    slotwise_tracker_free(s->tracker);
    s->tracker = tracker;
}

static void reset(struct session *s) {
    set_specs(s, NULL);
    set_aliases(s, NULL);
    set_pools(s, NULL);
    set_tracker(s, NULL);
}

static uint32_t add_rules(struct session *s, const char *key, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    add_text(r, key);
    return take(r, slotwise_specs_list(s->specs, &text, e), &text);
}

static uint32_t add_warnings(struct session *s, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    add_text(r, ",\"warnings\":");
    uint32_t code = take(r, slotwise_specs_warnings(s->specs, &text, e), &text);
    add_text(r, "}");
    return code;
}

static uint32_t specs_parse(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    bool report;
    slotwise_specs *specs = NULL;
    uint32_t code = flag(s, &a[1], &report);
    if (code == SLOTWISE_OK) {
        code = slotwise_specs_parse(ARG(0), report, &specs, e);
    }
    if (code != SLOTWISE_OK) {
        return code;
    }
    set_specs(s, specs);
    code = add_rules(s, "{\"rules\":", r, e);
    return code == SLOTWISE_OK ? add_warnings(s, r, e) : code;
}

static uint32_t specs_explain(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(specs)
    return take(r, slotwise_specs_explain(s->specs, ARG(0), &text, e), &text);
}

static uint32_t aliases_list(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    (void)a;
    NEED(aliases)
    add_text(r, "{\"aliases\":");
    uint32_t code = take(r, slotwise_aliases_list(s->aliases, &text, e), &text);
    add_text(r, "}");
    return code;
}

static uint32_t aliases_parse(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    bool placement;
    slotwise_aliases *aliases = NULL;
    uint32_t code = flag(s, &a[1], &placement);
    if (code == SLOTWISE_OK) {
        code = slotwise_aliases_parse(ARG(0), placement, &aliases, e);
    }
    if (code != SLOTWISE_OK) {
        return code;
    }
    set_aliases(s, aliases);
    return aliases_list(s, a, r, e);
}

static uint32_t aliases_create(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(aliases)
    return take(r, slotwise_aliases_create(s->aliases, ARG(0), &text, e), &text);
}

static uint32_t aliases_update(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(aliases)
    return take(r, slotwise_aliases_update(s->aliases, ARG(0), &text, e), &text);
}

static uint32_t aliases_delete(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(aliases)
    return take(r, slotwise_aliases_delete(s->aliases, ARG(0), &text, e), &text);
}

static uint32_t aliases_requests(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(aliases)
    add_text(r, "{\"requests\":");
    uint32_t code = take(r, slotwise_aliases_requests(s->aliases, ARG(0), ARG(1), &text, e), &text);
    add_text(r, "}");
    return code;
}

static uint32_t config_parse(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_config *config = NULL;
    slotwise_specs *specs = NULL;
    slotwise_aliases *aliases = NULL;
    slotwise_string text = {NULL, 0};
    bool report = false;
    bool placement = false;
    uint32_t code = slotwise_config_parse(ARG(0), ARG(1), &config, e);
    if (code == SLOTWISE_OK) {
        code = slotwise_config_specs(config, &specs, e);
    }
    if (code == SLOTWISE_OK) {
        set_specs(s, specs);
        code = slotwise_config_aliases(config, &aliases, e);
    }
    if (code == SLOTWISE_OK) {
        set_aliases(s, aliases);
        code = slotwise_config_placement(config, &report, &placement, e);
    }
    if (code == SLOTWISE_OK) {
        code = add_rules(s, "{\"device_specs\":", r, e);
    }
    if (code == SLOTWISE_OK) {
        add_text(r, ",\"aliases\":");
        code = take(r, slotwise_aliases_list(s->aliases, &text, e), &text);
    }
    if (code == SLOTWISE_OK) {
        add_text(r, report ? ",\"report_in_placement\":true" : ",\"report_in_placement\":false");
        add_text(r, placement ? ",\"pci_in_placement\":true" : ",\"pci_in_placement\":false");
        add_text(r, ",\"warnings\":");
        code = take(r, slotwise_config_warnings(config, &text, e), &text);
        add_text(r, "}");
    }
    slotwise_config_free(config);
    return code;
}

/* Puts a new tracker in the slot, if the call made one. */
static uint32_t new_tracker(struct session *s, uint32_t code, slotwise_tracker *const *tracker, struct result *r) {
    if (code == SLOTWISE_OK) {
        set_tracker(s, *tracker);
        add_text(r, "null");
    }
    return code;
}

static uint32_t tracker_new(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_tracker *tracker = NULL;
    NEED(specs)
    return new_tracker(s, slotwise_tracker_new(s->specs, ARG(0), &tracker, e), &tracker, r);
}

static uint32_t tracker_load(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_tracker *tracker = NULL;
    NEED(specs)
    return new_tracker(s, slotwise_tracker_load(s->specs, ARG(0), ARG(1), &tracker, e), &tracker, r);
}

static uint32_t tracker_sync(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(tracker)
    return take(r, slotwise_tracker_sync(s->tracker, ARG(0), &text, e), &text);
}

static uint32_t tracker_replace_specs(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    bool report;
    bool dry_run;
    slotwise_specs *specs = NULL;
    slotwise_string text = {NULL, 0};
    NEED(tracker)
    uint32_t code = flag(s, &a[1], &report);
    if (code == SLOTWISE_OK) {
        code = flag(s, &a[2], &dry_run);
    }
    if (code == SLOTWISE_OK) {
        code = slotwise_specs_parse(ARG(0), report, &specs, e);
    }
    if (code == SLOTWISE_OK) {
        code = take(r, slotwise_tracker_replace_specs(s->tracker, specs, dry_run, &text, e), &text);
    }
    slotwise_specs_free(specs);
    return code;
}

static uint32_t tracker_pools(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    (void)a;
    NEED(tracker)
    return take(r, slotwise_tracker_pools(s->tracker, &text, e), &text);
}

static uint32_t tracker_group_by(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(tracker)
    return take(r, slotwise_tracker_group_by(s->tracker, ARG(0), &text, e), &text);
}

static uint32_t tracker_devices(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    (void)a;
    NEED(tracker)
    return take(r, slotwise_tracker_devices(s->tracker, &text, e), &text);
}

static uint32_t tracker_explain(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(tracker)
    return take(r, slotwise_tracker_explain(s->tracker, ARG(0), &text, e), &text);
}

/* The outcome as a number must agree with the one in the document. */
static uint32_t take_fit(struct result *r, uint32_t code, uint32_t outcome, slotwise_string *fit) {
    static const char *const starts[] = {
        "{\"outcome\":\"fits\"", "{\"outcome\":\"no_fit\"", "{\"outcome\":\"undecided\""};
    if (code == SLOTWISE_OK) {
        if (outcome > SLOTWISE_OUTCOME_UNDECIDED || strncmp(fit->data, starts[outcome], strlen(starts[outcome])) != 0) {
            die("the outcome differs from that of the document");
        }
    }
    return take(r, code, fit);
}

static uint32_t tracker_fit(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_workload *workload = NULL;
    slotwise_string fit = {NULL, 0};
    uint32_t outcome = 0;
    NEED(tracker)
    uint32_t code = slotwise_workload_parse(ARG(0), &workload, e);
    if (code == SLOTWISE_OK) {
        code = slotwise_tracker_fit(s->tracker, workload, &outcome, &fit, e);
        code = take_fit(r, code, outcome, &fit);
    }
    slotwise_workload_free(workload);
    return code;
}

static uint32_t tracker_claim(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_workload *workload = NULL;
    slotwise_string fit = {NULL, 0};
    uint32_t outcome = 0;
    NEED(tracker)
    uint32_t code = slotwise_workload_parse(ARG(1), &workload, e);
    if (code == SLOTWISE_OK) {
        code = slotwise_tracker_claim(s->tracker, ARG(0), workload, &outcome, &fit, e);
        code = take_fit(r, code, outcome, &fit);
    }
    slotwise_workload_free(workload);
    return code;
}

static uint32_t tracker_claim_fit(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_workload *workload = NULL;
    NEED(tracker)
    add_text(r, "null");
    uint32_t code = slotwise_workload_parse(ARG(1), &workload, e);
    if (code == SLOTWISE_OK) {
        code = slotwise_tracker_claim_fit(s->tracker, ARG(0), workload, ARG(2), e);
    }
    slotwise_workload_free(workload);
    return code;
}

static uint32_t tracker_claim_all(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string fit = {NULL, 0};
    uint32_t outcome = 0;
    NEED(tracker)
    uint32_t code = slotwise_tracker_claim_all(s->tracker, ARG(0), &outcome, &fit, e);
    return take_fit(r, code, outcome, &fit);
}

static uint32_t tracker_allocate(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(tracker)
    return take(r, slotwise_tracker_allocate(s->tracker, ARG(0), &text, e), &text);
}

static uint32_t tracker_free(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(tracker)
    return take(r, slotwise_tracker_free_owner(s->tracker, ARG(0), ARG(1), &text, e), &text);
}

static uint32_t tracker_free_device(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    NEED(tracker)
    add_text(r, "null");
    return slotwise_tracker_free_device(s->tracker, ARG(0), ARG(1), e);
}

static uint32_t tracker_retain_owners(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(tracker)
    return take(r, slotwise_tracker_retain_owners(s->tracker, ARG(0), &text, e), &text);
}

static uint32_t tracker_bindings(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(tracker)
    return take(r, slotwise_tracker_bindings(s->tracker, ARG(0), &text, e), &text);
}

static uint32_t tracker_changes(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    (void)a;
    NEED(tracker)
    return take(r, slotwise_tracker_changes(s->tracker, &text, e), &text);
}

static uint32_t tracker_written(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    NEED(tracker)
    add_text(r, "null");
    return slotwise_tracker_written(s->tracker, ARG(0), e);
}

static uint32_t tracker_version(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    uint64_t version = 0;
    char number[32];
    (void)a;
    NEED(tracker)
    uint32_t code = slotwise_tracker_version(s->tracker, &version, e);
    snprintf(number, sizeof number, "%" PRIu64, version);
    add_text(r, number);
    return code;
}

static uint32_t tracker_snapshot(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    static const char digits[] = "0123456789abcdef";
    slotwise_bytes bytes = {NULL, 0};
    (void)a;
    NEED(tracker)
    uint32_t code = slotwise_tracker_snapshot(s->tracker, &bytes, e);
    add_text(r, "\"");
    for (size_t i = 0; i < bytes.len; i++) {
        char pair[2] = {digits[bytes.data[i] >> 4], digits[bytes.data[i] & 15]};
        add(r, pair, 2);
    }
    add_text(r, "\"");
    slotwise_bytes_free(&bytes);
    return code;
}

static int digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint32_t tracker_restore(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_tracker *tracker = NULL;
    size_t len = a[0].len / 2;
    uint8_t *bytes = grown(NULL, len);
    uint32_t code = SLOTWISE_OK;
    if (a[0].len % 2 != 0) {
        code = fault(s, "a snapshot is written in pairs of hexadecimal digits");
    }
    for (size_t i = 0; i < len && code == SLOTWISE_OK; i++) {
        int high = digit(a[0].data[2 * i]);
        int low = digit(a[0].data[2 * i + 1]);
        if (high < 0 || low < 0) {
            code = fault(s, "a snapshot is written in lower-case hexadecimal digits");
        } else {
            bytes[i] = (uint8_t)(high << 4 | low);
        }
    }
    if (code == SLOTWISE_OK) {
        code = slotwise_tracker_restore(bytes, len, &tracker, e);
    }
    free(bytes);
    return new_tracker(s, code, &tracker, r);
}

static uint32_t tracker_snapshot_json(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    (void)a;
    NEED(tracker)
    return take(r, slotwise_tracker_snapshot_json(s->tracker, &text, e), &text);
}

static uint32_t tracker_restore_json(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_tracker *tracker = NULL;
    return new_tracker(s, slotwise_tracker_restore_json(ARG(0), &tracker, e), &tracker, r);
}

static uint32_t pools_list(struct session *s, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    return take(r, slotwise_pools_list(s->pools, &text, e), &text);
}

static uint32_t pools_parse(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_pools *pools = NULL;
    uint32_t code = slotwise_pools_parse(ARG(0), ARG(1), &pools, e);
    if (code != SLOTWISE_OK) {
        return code;
    }
    set_pools(s, pools);
    return pools_list(s, r, e);
}

static uint32_t pools_fit(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_workload *workload = NULL;
    slotwise_string fit = {NULL, 0};
    uint32_t outcome = 0;
    uint32_t alone = 0;
    NEED(pools)
    uint32_t code = slotwise_workload_parse(ARG(0), &workload, e);
    if (code == SLOTWISE_OK) {
        code = slotwise_pools_fit(s->pools, workload, &outcome, &fit, e);
        if (code == SLOTWISE_OK
            && (slotwise_pools_fit(s->pools, workload, &alone, NULL, NULL) != SLOTWISE_OK || alone != outcome)) {
            die("the outcome differs when the document is not asked for");
        }
        code = take_fit(r, code, outcome, &fit);
    }
    slotwise_workload_free(workload);
    return code;
}

static uint32_t pools_consume(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(pools)
    return take(r, slotwise_pools_consume(s->pools, ARG(0), &text, e), &text);
}

static uint32_t pools_group_by(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(pools)
    return take(r, slotwise_pools_group_by(s->pools, ARG(0), &text, e), &text);
}

static const struct {
    const char *name;
    op *run;
} OPS[] = {
    {"specs.parse", specs_parse},
    {"specs.explain", specs_explain},
    {"aliases.parse", aliases_parse},
    {"aliases.create", aliases_create},
    {"aliases.update", aliases_update},
    {"aliases.delete", aliases_delete},
    {"aliases.list", aliases_list},
    {"aliases.requests", aliases_requests},
    {"config.parse", config_parse},
    {"tracker.new", tracker_new},
    {"tracker.load", tracker_load},
    {"tracker.sync", tracker_sync},
    {"tracker.replace_specs", tracker_replace_specs},
    {"tracker.pools", tracker_pools},
    {"tracker.group_by", tracker_group_by},
    {"tracker.devices", tracker_devices},
    {"tracker.explain", tracker_explain},
    {"tracker.fit", tracker_fit},
    {"tracker.claim", tracker_claim},
    {"tracker.claim_fit", tracker_claim_fit},
    {"tracker.claim_all", tracker_claim_all},
    {"tracker.allocate", tracker_allocate},
    {"tracker.free", tracker_free},
    {"tracker.free_device", tracker_free_device},
    {"tracker.retain_owners", tracker_retain_owners},
    {"tracker.bindings", tracker_bindings},
    {"tracker.changes", tracker_changes},
    {"tracker.written", tracker_written},
    {"tracker.version", tracker_version},
    {"tracker.snapshot", tracker_snapshot},
    {"tracker.restore", tracker_restore},
    {"tracker.snapshot_json", tracker_snapshot_json},
    {"tracker.restore_json", tracker_restore_json},
    {"pools.parse", pools_parse},
    {"pools.fit", pools_fit},
    {"pools.consume", pools_consume},
    {"pools.group_by", pools_group_by},
};

static void answer(const char *word, const char *data, size_t len) {
    printf("%s %zu\n", word, len);
    fwrite(data, 1, len, stdout);
    putchar('\n');
    if (fflush(stdout) != 0) {
        die("the driver is gone");
    }
}

static void call(struct session *s, const char *name, const struct text *a) {
    op *run = NULL;
    struct result r = {NULL, 0, 0};
    slotwise_error *error = NULL;
    uint32_t code;
    for (size_t i = 0; i < sizeof OPS / sizeof OPS[0]; i++) {
        if (strcmp(OPS[i].name, name) == 0) {
            run = OPS[i].run;
        }
    }
    code = run == NULL ? fault(s, "the C door has no such op") : run(s, a, &r, &error);
    if (code == SLOTWISE_OK) {
        answer("ok", r.data, r.len);
    } else if (code == BAD_CASE) {
        char document[256];
        snprintf(document, sizeof document, "{\"kind\":\"internal\",\"message\":\"bad case: %s\"}", s->fault);
        answer("err", document, strlen(document));
    } else {
        if (error == NULL || slotwise_error_code(error) != code) {
            die("a failed call gave no error, or one with another code");
        }
        answer("err", slotwise_error_json(error), strlen(slotwise_error_json(error)));
    }
    slotwise_error_free(error);
    free(r.data);
}

static void read_argument(struct text *argument) {
    char line[32];
    size_t len;
    if (fgets(line, sizeof line, stdin) == NULL || sscanf(line, "%zu", &len) != 1) {
        die("the driver gave no length");
    }
    argument->data = grown(NULL, len);
    argument->len = len;
    if (fread(argument->data, 1, len, stdin) != len || getchar() != '\n') {
        die("the driver gave less than it said");
    }
}

int main(void) {
    struct session session = {NULL, NULL, NULL, NULL, NULL};
    char line[128];
    while (fgets(line, sizeof line, stdin) != NULL) {
        char name[64];
        unsigned count;
        if (strcmp(line, "reset\n") == 0) {
            reset(&session);
            answer("ok", "null", 4);
        } else if (sscanf(line, "call %63s %u", name, &count) == 2 && count <= MAX_ARGS) {
            char nothing[1] = "";
            struct text arguments[MAX_ARGS];
            for (unsigned i = 0; i < MAX_ARGS; i++) {
                arguments[i].data = nothing;
                arguments[i].len = 0;
            }
            for (unsigned i = 0; i < count; i++) {
                read_argument(&arguments[i]);
            }
            call(&session, name, arguments);
            for (unsigned i = 0; i < count; i++) {
                free(arguments[i].data);
            }
        } else {
            die("the driver wrote something else than a call or a reset");
        }
    }
    reset(&session);
    return 0;
}
