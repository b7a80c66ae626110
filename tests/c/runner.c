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
    slotwise_fleet *fleet;
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

static void set_fleet(struct session *s, slotwise_fleet *fleet) {
    slotwise_fleet_free(s->fleet);
    s->fleet = fleet;
}

static void reset(struct session *s) {
    set_fleet(s, NULL);
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

/* Adds bytes as hexadecimal digits and frees them. */
static uint32_t take_bytes(struct result *r, uint32_t code, slotwise_bytes *bytes) {
    static const char digits[] = "0123456789abcdef";
    add_text(r, "\"");
    for (size_t i = 0; i < bytes->len; i++) {
        char pair[2] = {digits[bytes->data[i] >> 4], digits[bytes->data[i] & 15]};
        add(r, pair, 2);
    }
    add_text(r, "\"");
    slotwise_bytes_free(bytes);
    return code;
}

static uint32_t tracker_snapshot(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_bytes bytes = {NULL, 0};
    (void)a;
    NEED(tracker)
    return take_bytes(r, slotwise_tracker_snapshot(s->tracker, &bytes, e), &bytes);
}

static int digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes of hexadecimal digits, for the caller to free. */
static uint32_t from_hex(struct session *s, const struct text *a, uint8_t **bytes, size_t *len) {
    *len = a->len / 2;
    *bytes = grown(NULL, *len);
    if (a->len % 2 != 0) {
        return fault(s, "bytes are written in pairs of hexadecimal digits");
    }
    for (size_t i = 0; i < *len; i++) {
        int high = digit(a->data[2 * i]);
        int low = digit(a->data[2 * i + 1]);
        if (high < 0 || low < 0) {
            return fault(s, "bytes are written in lower-case hexadecimal digits");
        }
        (*bytes)[i] = (uint8_t)(high << 4 | low);
    }
    return SLOTWISE_OK;
}

static uint32_t tracker_restore(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_tracker *tracker = NULL;
    uint8_t *bytes;
    size_t len;
    uint32_t code = from_hex(s, &a[0], &bytes, &len);
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

/* A whole number. */
static uint32_t number(struct session *s, const struct text *a, uint64_t *value) {
    char digits[24] = "";
    char *end;
    if (a->len == 0 || a->len >= sizeof digits) {
        return fault(s, "in C this argument is a number");
    }
    memcpy(digits, a->data, a->len);
    *value = strtoull(digits, &end, 10);
    return *end == '\0' && digits[0] != '-' ? SLOTWISE_OK : fault(s, "in C this argument is a number");
}

static uint32_t add_number(struct result *r, uint32_t code, uint64_t value) {
    char digits[32];
    snprintf(digits, sizeof digits, "%" PRIu64, value);
    add_text(r, digits);
    return code;
}

static uint32_t fleet_new(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_fleet *fleet = NULL;
    (void)a;
    uint32_t code = slotwise_fleet_new(&fleet, e);
    if (code == SLOTWISE_OK) {
        set_fleet(s, fleet);
        add_text(r, "null");
    }
    return code;
}

static uint32_t fleet_put(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    uint64_t version = 0;
    NEED(fleet)
    uint32_t code = a[3].len == 0 ? SLOTWISE_OK : number(s, &a[3], &version);
    if (code != SLOTWISE_OK) {
        return code;
    }
    code = slotwise_fleet_put(s->fleet, ARG(0), ARG(1), ARG(2), a[3].len == 0 ? NULL : &version, &text, e);
    return take(r, code, &text);
}

static uint32_t fleet_remove(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    NEED(fleet)
    add_text(r, "null");
    return slotwise_fleet_remove(s->fleet, ARG(0), e);
}

static uint32_t fleet_set_tags(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    bool changed = false;
    NEED(fleet)
    uint32_t code = slotwise_fleet_set_tags(s->fleet, ARG(0), ARG(1), &changed, e);
    add_text(r, changed ? "true" : "false");
    return code;
}

static uint32_t fleet_version(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    uint32_t id = 0;
    uint64_t version = 0;
    NEED(fleet)
    uint32_t code = slotwise_fleet_id(s->fleet, ARG(0), &id, &version, e);
    return add_number(r, code, version);
}

static uint32_t fleet_id(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    uint32_t id = 0;
    uint64_t version = 0;
    NEED(fleet)
    uint32_t code = slotwise_fleet_id(s->fleet, ARG(0), &id, &version, e);
    return add_number(r, code, id);
}

static uint32_t fleet_pools(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_pools *pools = NULL;
    slotwise_string text = {NULL, 0};
    NEED(fleet)
    uint32_t code = slotwise_fleet_pools(s->fleet, ARG(0), &pools, e);
    if (code == SLOTWISE_OK) {
        code = take(r, slotwise_pools_list(pools, &text, e), &text);
    }
    slotwise_pools_free(pools);
    return code;
}

static uint32_t fleet_hosts(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_bytes bytes = {NULL, 0};
    (void)a;
    NEED(fleet)
    return take_bytes(r, slotwise_fleet_hosts(s->fleet, &bytes, e), &bytes);
}

static uint32_t fleet_names(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    uint8_t *bytes = NULL;
    size_t len = 0;
    NEED(fleet)
    uint32_t code = a[0].len == 0 ? SLOTWISE_OK : from_hex(s, &a[0], &bytes, &len);
    if (code == SLOTWISE_OK) {
        code = take(r, slotwise_fleet_names(s->fleet, bytes, len, &text, e), &text);
    }
    free(bytes);
    return code;
}

static uint32_t fleet_fit(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_workload *workload = NULL;
    slotwise_string fit = {NULL, 0};
    uint32_t outcome = 0;
    NEED(fleet)
    uint32_t code = slotwise_workload_parse(ARG(1), &workload, e);
    if (code == SLOTWISE_OK) {
        code = slotwise_fleet_fit(s->fleet, ARG(0), workload, &outcome, &fit, e);
        code = take_fit(r, code, outcome, &fit);
    }
    slotwise_workload_free(workload);
    return code;
}

static uint32_t fleet_filter(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_workload *workload = NULL;
    slotwise_bytes hosts = {NULL, 0};
    slotwise_bytes undecided = {NULL, 0};
    slotwise_bytes alone = {NULL, 0};
    slotwise_string answer = {NULL, 0};
    NEED(fleet)
    uint32_t code = slotwise_workload_parse(ARG(0), &workload, e);
    if (code == SLOTWISE_OK) {
        code = slotwise_fleet_filter(s->fleet, workload, ARG(1), NULL, 0, NULL, 0, &hosts, &undecided, &answer, e);
        if (code == SLOTWISE_OK) {
            if (slotwise_fleet_filter(s->fleet, workload, ARG(1), NULL, 0, NULL, 0, &alone, NULL, NULL, NULL) != SLOTWISE_OK
                || alone.len != hosts.len || memcmp(alone.data, hosts.data, hosts.len) != 0) {
                die("the hosts differ when the document is not asked for");
            }
            slotwise_bytes_free(&alone);
        }
        code = take(r, code, &answer);
    }
    slotwise_bytes_free(&hosts);
    slotwise_bytes_free(&undecided);
    slotwise_workload_free(workload);
    return code;
}

static uint32_t fleet_rank(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_workload *workload = NULL;
    slotwise_string ranking = {NULL, 0};
    size_t count = 0;
    NEED(fleet)
    uint32_t code = slotwise_workload_parse(ARG(0), &workload, e);
    if (code == SLOTWISE_OK) {
        code = slotwise_fleet_rank(s->fleet, workload, ARG(1), NULL, 0, NULL, 0, NULL, 0, &count, &ranking, e);
        code = take(r, code, &ranking);
    }
    slotwise_workload_free(workload);
    return code;
}

static uint32_t fleet_explain(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_workload *workload = NULL;
    slotwise_string text = {NULL, 0};
    NEED(fleet)
    uint32_t code = slotwise_workload_parse(ARG(0), &workload, e);
    if (code == SLOTWISE_OK) {
        code = take(r, slotwise_fleet_explain(s->fleet, workload, ARG(1), NULL, 0, &text, e), &text);
    }
    slotwise_workload_free(workload);
    return code;
}

static uint32_t fleet_reserve(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_workload *workload = NULL;
    slotwise_string fit = {NULL, 0};
    uint32_t outcome = 0;
    uint64_t expires = 0;
    NEED(fleet)
    uint32_t code = number(s, &a[3], &expires);
    if (code == SLOTWISE_OK) {
        code = slotwise_workload_parse(ARG(2), &workload, e);
    }
    if (code == SLOTWISE_OK) {
        code = slotwise_fleet_reserve(s->fleet, ARG(0), ARG(1), workload, expires, &outcome, &fit, e);
        code = take_fit(r, code, outcome, &fit);
    }
    slotwise_workload_free(workload);
    return code;
}

static uint32_t fleet_reserve_placed(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    uint64_t expires = 0;
    NEED(fleet)
    uint32_t code = number(s, &a[2], &expires);
    add_text(r, "null");
    return code == SLOTWISE_OK ? slotwise_fleet_reserve_placed(s->fleet, ARG(0), ARG(1), expires, e) : code;
}

static uint32_t fleet_expire(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    uint64_t now = 0;
    NEED(fleet)
    uint32_t code = number(s, &a[0], &now);
    return code == SLOTWISE_OK ? take(r, slotwise_fleet_expire(s->fleet, now, &text, e), &text) : code;
}

static uint32_t fleet_declare_demand(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    NEED(fleet)
    add_text(r, "null");
    return slotwise_fleet_declare_demand(s->fleet, ARG(0), e);
}

static uint32_t fleet_observe_demand(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_workload *workload = NULL;
    NEED(fleet)
    add_text(r, "null");
    uint32_t code = slotwise_workload_parse(ARG(0), &workload, e);
    if (code == SLOTWISE_OK) {
        code = slotwise_fleet_observe_demand(s->fleet, workload, e);
    }
    slotwise_workload_free(workload);
    return code;
}

static uint32_t fleet_sequence(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    uint64_t sequence = 0;
    (void)a;
    NEED(fleet)
    uint32_t code = slotwise_fleet_sequence(s->fleet, &sequence, e);
    return add_number(r, code, sequence);
}

static uint32_t fleet_snapshot(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_bytes bytes = {NULL, 0};
    (void)a;
    NEED(fleet)
    return take_bytes(r, slotwise_fleet_snapshot(s->fleet, &bytes, e), &bytes);
}

static uint32_t fleet_restore(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_fleet *fleet = NULL;
    uint8_t *bytes;
    size_t len;
    uint32_t code = from_hex(s, &a[0], &bytes, &len);
    if (code == SLOTWISE_OK) {
        code = slotwise_fleet_restore(bytes, len, &fleet, e);
    }
    free(bytes);
    if (code == SLOTWISE_OK) {
        set_fleet(s, fleet);
        add_text(r, "null");
    }
    return code;
}

static uint32_t fleet_load(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(fleet)
    return take(r, slotwise_fleet_load(s->fleet, ARG(0), &text, e), &text);
}

static uint32_t fleet_apply(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(fleet)
    return take(r, slotwise_fleet_apply(s->fleet, ARG(0), ARG(1), &text, e), &text);
}

static uint32_t fleet_tags(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(fleet)
    return take(r, slotwise_fleet_tags(s->fleet, ARG(0), &text, e), &text);
}

static uint32_t fleet_place(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(fleet)
    return take(r, slotwise_fleet_place(s->fleet, ARG(0), NULL, 0, &text, e), &text);
}

static uint32_t fleet_release(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    NEED(fleet)
    return take(r, slotwise_fleet_release(s->fleet, ARG(0), &text, e), &text);
}

static uint32_t fleet_reservations(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    (void)a;
    NEED(fleet)
    return take(r, slotwise_fleet_reservations(s->fleet, &text, e), &text);
}

static uint32_t fleet_demand(struct session *s, const struct text *a, struct result *r, slotwise_error **e) {
    slotwise_string text = {NULL, 0};
    (void)a;
    NEED(fleet)
    return take(r, slotwise_fleet_demand(s->fleet, &text, e), &text);
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
    {"fleet.new", fleet_new},
    {"fleet.put", fleet_put},
    {"fleet.load", fleet_load},
    {"fleet.apply", fleet_apply},
    {"fleet.remove", fleet_remove},
    {"fleet.set_tags", fleet_set_tags},
    {"fleet.tags", fleet_tags},
    {"fleet.id", fleet_id},
    {"fleet.version", fleet_version},
    {"fleet.pools", fleet_pools},
    {"fleet.hosts", fleet_hosts},
    {"fleet.names", fleet_names},
    {"fleet.fit", fleet_fit},
    {"fleet.filter", fleet_filter},
    {"fleet.rank", fleet_rank},
    {"fleet.explain", fleet_explain},
    {"fleet.place", fleet_place},
    {"fleet.reserve", fleet_reserve},
    {"fleet.reserve_placed", fleet_reserve_placed},
    {"fleet.release", fleet_release},
    {"fleet.expire", fleet_expire},
    {"fleet.reservations", fleet_reservations},
    {"fleet.declare_demand", fleet_declare_demand},
    {"fleet.observe_demand", fleet_observe_demand},
    {"fleet.demand", fleet_demand},
    {"fleet.sequence", fleet_sequence},
    {"fleet.snapshot", fleet_snapshot},
    {"fleet.restore", fleet_restore},
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
    struct session session = {NULL, NULL, NULL, NULL, NULL, NULL};
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
