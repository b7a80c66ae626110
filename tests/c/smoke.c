/* The C library as a C program meets it: errors that are read back, handles that outlive what they were made from, the log,
 * limits, threads, and one life of a device. What can be wrong with an argument is tried by a program that is written from the
 * header (bindings/c/tests/arguments). */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <string.h>

#include "check.h"
#include "slotwise.h"

/* As SLOTWISE_LITERAL, for arrays of characters too. */
#define TEXT(text) (text), (sizeof(text) - 1)

/* The call must fail with this code, at this path, and also where the error is not asked for. */
#define FAILS_AT(code, path, function, ...)                         \
    do {                                                            \
        slotwise_error *failure = NULL;                               \
        CHECK(function(__VA_ARGS__, &failure) == (code));             \
        CHECK(failure != NULL && slotwise_error_code(failure) == (code)); \
        if (strcmp(slotwise_error_path(failure), (path)) != 0) {      \
            fprintf(stderr, "%s\n", slotwise_error_json(failure));    \
        }                                                           \
        CHECK(strcmp(slotwise_error_path(failure), (path)) == 0);     \
        slotwise_error_free(failure);                                 \
        CHECK(function(__VA_ARGS__, NULL) == (code));               \
    } while (0)

#define REFUSES_NULL(path, function, ...) \
    FAILS_AT(SLOTWISE_ERROR_INVALID_ARGUMENT, path, function, __VA_ARGS__)

#define SUCCEEDS(function, ...)                                         \
    do {                                                                \
        slotwise_error *failure = NULL;                                   \
        uint32_t code = function(__VA_ARGS__, &failure);                  \
        if (code != SLOTWISE_OK) {                                      \
            fprintf(stderr, "%s: %s\n", #function, slotwise_error_text(failure)); \
        }                                                               \
        CHECK(code == SLOTWISE_OK && failure == NULL);                    \
    } while (0)

static const char SPECS[] = "[{\"vendor_id\": \"8086\", \"product_id\": \"1520\", \"physical_network\": \"blue\"}]";
static const char ALIASES[] = "[{\"name\": \"nic\", \"vendor_id\": \"8086\", \"product_id\": \"1520\"}]";
static const char DEVICES[] =
    "[{\"address\": \"0000:81:00.0\", \"vendor_id\": \"8086\", \"product_id\": \"1520\", \"numa_node\": 0},"
    " {\"address\": \"0000:82:00.0\", \"vendor_id\": \"8086\", \"product_id\": \"1520\", \"numa_node\": 1},"
    " {\"address\": \"0000:83:00.0\", \"vendor_id\": \"10de\", \"product_id\": \"1eb8\", \"numa_node\": 0}]";
static const char POOLS[] = "[{\"vendor_id\": \"8086\", \"product_id\": \"1520\", \"numa_node\": 0, \"count\": 2}]";
static const char WORKLOAD[] =
    "{\"requests\": [{\"request_id\": \"r1\", \"requester_id\": \"port-1\", \"count\": 1,"
    " \"alternatives\": [{\"vendor_id\": \"8086\"}]}]}";
static const char CONFIG[] =
    "[pci]\n"
    "device_spec = {\"vendor_id\": \"8086\", \"product_id\": \"1520\"}\n"
    "alias = {\"name\": \"nic\", \"vendor_id\": \"8086\", \"product_id\": \"1520\"}\n";

static slotwise_specs *specs;
static slotwise_aliases *aliases;
static slotwise_config *config;
static slotwise_pools *pools;
static slotwise_workload *workload;
static slotwise_tracker *tracker;

static bool holds(const slotwise_string *text, const char *part) { return strstr(text->data, part) != NULL; }

static void make_handles(void) {
    SUCCEEDS(slotwise_specs_parse, TEXT(SPECS), false, &specs);
    SUCCEEDS(slotwise_aliases_parse, TEXT(ALIASES), false, &aliases);
    SUCCEEDS(slotwise_config_parse, TEXT("nova.conf"), TEXT(CONFIG), &config);
    SUCCEEDS(slotwise_pools_parse, TEXT(POOLS), NULL, 0, &pools);
    SUCCEEDS(slotwise_workload_parse, TEXT(WORKLOAD), &workload);
    SUCCEEDS(slotwise_tracker_new, specs, NULL, 0, &tracker);
}

static void free_handles(void) {
    slotwise_tracker_free(tracker);
    slotwise_workload_free(workload);
    slotwise_pools_free(pools);
    slotwise_config_free(config);
    slotwise_aliases_free(aliases);
    slotwise_specs_free(specs);
}

static void a_result_without_a_place_changes_nothing(void) {
    uint64_t before = 0;
    uint64_t after = 1;
    SUCCEEDS(slotwise_tracker_version, tracker, &before);
    REFUSES_NULL("report", slotwise_tracker_sync, tracker, TEXT(DEVICES), NULL);
    SUCCEEDS(slotwise_tracker_version, tracker, &after);
    CHECK(before == after);
}

static void only_as_many_bytes_as_said_are_read(void) {
    slotwise_workload *goes_on = NULL;
    slotwise_specs *empty = NULL;
    char open[2] = {'[', ']'};
    SUCCEEDS(slotwise_workload_parse, "{\"requests\": []}garbage", sizeof "{\"requests\": []}" - 1, &goes_on);
    SUCCEEDS(slotwise_specs_parse, open, sizeof open, false, &empty);
    slotwise_workload_free(goes_on);
    slotwise_specs_free(empty);
}

static void a_nul_in_a_text_does_not_end_it(void) {
    slotwise_string text = {NULL, 0};
    slotwise_specs *none = NULL;
    slotwise_error *error = NULL;
    FAILS_AT(SLOTWISE_ERROR_INVALID_JSON, "entries", slotwise_specs_parse, TEXT("[]\0[]"), false, &none);
    FAILS_AT(SLOTWISE_ERROR_INVALID_ADDRESS, "address", slotwise_tracker_explain, tracker, TEXT("0000:81:00.0\0"), &text);
    /* Whatever the message quotes of a hostile name, it is one C string with the same start as the document's. */
    CHECK(slotwise_aliases_delete(aliases, TEXT("a\0b"), &text, &error) == SLOTWISE_ERROR_UNKNOWN_ALIAS);
    CHECK(strlen(slotwise_error_message(error)) > 2);
    CHECK(strstr(slotwise_error_text(error), slotwise_error_message(error)) == slotwise_error_text(error));
    slotwise_error_free(error);
}

static void unknown_words_are_refused(void) {
    slotwise_string text = {NULL, 0};
    slotwise_config *none = NULL;
    FAILS_AT(SLOTWISE_ERROR_INVALID_ARGUMENT, "format", slotwise_config_parse, TEXT("yaml"), TEXT(""), &none);
    FAILS_AT(
        SLOTWISE_ERROR_INVALID_JSON, "numa_policy", slotwise_aliases_requests, aliases, TEXT("nic:1"), TEXT("near"),
        &text);
    FAILS_AT(
        SLOTWISE_ERROR_INVALID_JSON, "scope", slotwise_tracker_free_owner, tracker, TEXT("vm-1"), TEXT("some"), &text);
}

static void an_error_tells_what_where_and_what_to_do(void) {
    slotwise_workload *none = NULL;
    slotwise_error *error = NULL;
    uint32_t code =
        slotwise_workload_parse(TEXT("{\"requests\": [\n {\"count\": 0, \"alternatives\": [{}]}]}"), &none, &error);
    CHECK(code == SLOTWISE_ERROR_INVALID_REQUEST && none == NULL);
    CHECK(slotwise_error_code(error) == code);
    CHECK(strcmp(slotwise_error_kind(error), "invalid_request") == 0);
    CHECK(strcmp(slotwise_error_path(error), "workload.requests[0].count") == 0);
    CHECK(slotwise_error_line(error) == 2 && slotwise_error_column(error) > 0);
    CHECK(strcmp(slotwise_error_message(error), "count 0 is out of range") == 0);
    CHECK(slotwise_error_help(error) != NULL);
    CHECK(strstr(slotwise_error_text(error), "workload.requests[0].count, line 2") != NULL);
    CHECK(strstr(slotwise_error_json(error), "\"kind\":\"invalid_request\"") != NULL);
    slotwise_error_free(error);
}

static void the_table_of_errors_is_complete(void) {
    slotwise_string kinds = {NULL, 0};
    SUCCEEDS(slotwise_error_kinds, &kinds);
    CHECK(holds(&kinds, "\"kind\":\"invalid_json\"") && holds(&kinds, "\"code\":23"));
    CHECK(strlen(kinds.data) == kinds.len);
    slotwise_string_free(&kinds);
    CHECK(kinds.data == NULL && kinds.len == 0);
    slotwise_string_free(&kinds);
}

static void handles_outlive_what_they_were_made_from(void) {
    slotwise_config *parent = NULL;
    slotwise_specs *rules = NULL;
    slotwise_aliases *names = NULL;
    slotwise_tracker *host = NULL;
    slotwise_string text = {NULL, 0};
    bool report = true;
    bool placement = true;
    SUCCEEDS(slotwise_config_parse, TEXT("nova.conf"), TEXT(CONFIG), &parent);
    SUCCEEDS(slotwise_config_placement, parent, &report, &placement);
    CHECK(!report && !placement);
    SUCCEEDS(slotwise_config_warnings, parent, &text);
    CHECK(strcmp(text.data, "[]") == 0);
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_config_specs, parent, &rules);
    SUCCEEDS(slotwise_config_aliases, parent, &names);
    slotwise_config_free(parent);
    SUCCEEDS(slotwise_aliases_list, names, &text);
    CHECK(holds(&text, "\"nic\""));
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_aliases_warnings, names, &text);
    CHECK(strcmp(text.data, "[]") == 0);
    slotwise_string_free(&text);
    slotwise_aliases_free(names);
    SUCCEEDS(slotwise_tracker_new, rules, NULL, 0, &host);
    slotwise_specs_free(rules);
    SUCCEEDS(slotwise_tracker_sync, host, TEXT(DEVICES), &text);
    CHECK(holds(&text, "0000:82:00.0"));
    slotwise_string_free(&text);
    slotwise_tracker_free(host);
}

static void one_life_of_a_device(void) {
    slotwise_string text = {NULL, 0};
    slotwise_string requests = {NULL, 0};
    slotwise_bytes snapshot = {NULL, 0};
    slotwise_tracker *copy = NULL;
    uint32_t outcome = 7;

    SUCCEEDS(slotwise_tracker_sync, tracker, TEXT(DEVICES), &text);
    CHECK(holds(&text, "\"0000:81:00.0\"") && !holds(&text, "\"0000:83:00.0\""));
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_tracker_changes, tracker, &text);
    CHECK(holds(&text, "\"insert\""));
    SUCCEEDS(slotwise_tracker_written, tracker, text.data, text.len);
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_tracker_changes, tracker, &text);
    CHECK(strcmp(text.data, "[]") == 0);
    slotwise_string_free(&text);

    SUCCEEDS(slotwise_aliases_requests, aliases, TEXT("nic:1"), TEXT("required"), &requests);
    CHECK(holds(&requests, "\"required\""));
    slotwise_string_free(&requests);

    SUCCEEDS(slotwise_tracker_fit, tracker, workload, &outcome, NULL);
    CHECK(outcome == SLOTWISE_OUTCOME_FITS);
    SUCCEEDS(slotwise_tracker_claim, tracker, TEXT("vm-1"), workload, &outcome, &text);
    CHECK(outcome == SLOTWISE_OUTCOME_FITS && holds(&text, "0000:8"));
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_tracker_claim, tracker, TEXT("vm-2"), workload, &outcome, NULL);
    CHECK(outcome == SLOTWISE_OUTCOME_FITS);
    SUCCEEDS(slotwise_tracker_claim, tracker, TEXT("vm-3"), workload, &outcome, &text);
    CHECK(outcome == SLOTWISE_OUTCOME_NO_FIT && holds(&text, "\"no_fit\""));
    slotwise_string_free(&text);

    SUCCEEDS(slotwise_tracker_allocate, tracker, TEXT("vm-1"), &text);
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_tracker_bindings, tracker, TEXT("{\"requester_id\": \"port-1\"}"), &text);
    CHECK(holds(&text, "\"pci_vendor_info\":\"8086:1520\"") && holds(&text, "\"physical_network\":\"blue\""));
    slotwise_string_free(&text);

    SUCCEEDS(slotwise_tracker_snapshot, tracker, &snapshot);
    SUCCEEDS(slotwise_tracker_restore, snapshot.data, snapshot.len, &copy);
    FAILS_AT(
        SLOTWISE_ERROR_INVALID_SNAPSHOT, "", slotwise_tracker_restore, snapshot.data, snapshot.len - 1,
        &(slotwise_tracker *){NULL});
    slotwise_bytes_free(&snapshot);
    SUCCEEDS(slotwise_tracker_retain_owners, copy, TEXT("[\"vm-2\"]"), &text);
    CHECK(holds(&text, "0000:8"));
    slotwise_string_free(&text);
    slotwise_tracker_free(copy);
    SUCCEEDS(slotwise_tracker_snapshot_json, tracker, &text);
    SUCCEEDS(slotwise_tracker_restore_json, text.data, text.len, &copy);
    slotwise_string_free(&text);
    slotwise_tracker_free(copy);

    SUCCEEDS(slotwise_tracker_free_owner, tracker, TEXT("vm-1"), TEXT("allocations"), &text);
    CHECK(holds(&text, "0000:8"));
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_tracker_free_owner, tracker, TEXT("vm-2"), NULL, 0, &text);
    CHECK(holds(&text, "0000:8"));
    slotwise_string_free(&text);
    FAILS_AT(
        SLOTWISE_ERROR_UNKNOWN_DEVICE, "address", slotwise_tracker_explain, tracker, TEXT("0000:99:00.0"),
        &(slotwise_string){NULL, 0});
}

static void pools_are_asked_and_consumed(void) {
    slotwise_string fit = {NULL, 0};
    slotwise_string list = {NULL, 0};
    slotwise_pools *host = NULL;
    uint32_t outcome = 7;
    SUCCEEDS(slotwise_pools_parse, TEXT(POOLS), TEXT("{\"cells\": [{\"id\": 0, \"socket\": 0}]}"), &host);
    for (int left = 1; left >= 0; left--) {
        SUCCEEDS(slotwise_pools_fit, host, workload, &outcome, &fit);
        CHECK(outcome == SLOTWISE_OUTCOME_FITS);
        SUCCEEDS(slotwise_pools_consume, host, fit.data, fit.len, &list);
        slotwise_string_free(&list);
        slotwise_string_free(&fit);
    }
    SUCCEEDS(slotwise_pools_fit, host, workload, &outcome, NULL);
    CHECK(outcome == SLOTWISE_OUTCOME_NO_FIT);
    SUCCEEDS(slotwise_pools_group_by, host, TEXT("[\"vendor_id\"]"), &list);
    slotwise_string_free(&list);
    slotwise_pools_free(host);
}

struct lines {
    pthread_mutex_t lock;
    unsigned count;
    unsigned malformed;
    uint32_t code_inside;
    char last[256];
};

static void keep(void *context, uint32_t level, const char *function, const char *message, size_t message_len) {
    struct lines *lines = context;
    pthread_mutex_lock(&lines->lock);
    lines->count++;
    lines->malformed +=
        level < SLOTWISE_LOG_ERROR || level > SLOTWISE_LOG_DEBUG || strlen(message) != message_len;
    /* It is refused here and not logged, else this would not end. */
    lines->code_inside = slotwise_log_set(NULL, NULL, SLOTWISE_LOG_OFF, NULL);
    snprintf(lines->last, sizeof lines->last, "%u %s %s", (unsigned)level, function, message);
    pthread_mutex_unlock(&lines->lock);
}

static void log_lines_go_to_the_caller(void) {
    struct lines lines = {PTHREAD_MUTEX_INITIALIZER, 0, 0, 0, ""};
    slotwise_tracker *host = NULL;
    slotwise_string text = {NULL, 0};
    uint32_t outcome = 0;
    SUCCEEDS(slotwise_tracker_new, specs, NULL, 0, &host);
    SUCCEEDS(slotwise_log_set, keep, &lines, SLOTWISE_LOG_INFO);
    SUCCEEDS(slotwise_tracker_sync, host, TEXT(DEVICES), &text);
    CHECK(lines.count == 1 && lines.code_inside == SLOTWISE_ERROR_INVALID_STATE);
    CHECK(strcmp(lines.last, "3 slotwise_tracker_sync sync: 2 added") == 0);
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_tracker_claim, host, TEXT("vm-1"), workload, &outcome, NULL);
    CHECK(strstr(lines.last, "3 slotwise_tracker_claim claim for \"vm-1\": fits: ") == lines.last);
    /* A failed call is a matter of level debug. */
    CHECK(slotwise_tracker_allocate(host, TEXT("nobody"), &text, NULL) == SLOTWISE_ERROR_UNKNOWN_OWNER);
    CHECK(lines.count == 2);
    SUCCEEDS(slotwise_log_set, keep, &lines, SLOTWISE_LOG_DEBUG);
    CHECK(slotwise_tracker_allocate(host, TEXT("nobody"), &text, NULL) == SLOTWISE_ERROR_UNKNOWN_OWNER);
    CHECK(lines.count == 3 && strstr(lines.last, "4 slotwise_tracker_allocate ") == lines.last);
    FAILS_AT(SLOTWISE_ERROR_INVALID_ARGUMENT, "level", slotwise_log_set, keep, &lines, 5);
    SUCCEEDS(slotwise_log_set, NULL, NULL, SLOTWISE_LOG_DEBUG);
    lines.count = 0;
    CHECK(slotwise_tracker_allocate(host, TEXT("nobody"), &text, NULL) == SLOTWISE_ERROR_UNKNOWN_OWNER);
    CHECK(lines.count == 0);
    slotwise_tracker_free(host);
}

static void arguments_may_be_limited(void) {
    slotwise_string limits = {NULL, 0};
    slotwise_workload *none = NULL;
    SUCCEEDS(slotwise_limits, &limits);
    CHECK(holds(&limits, "\"max_document_bytes\":67108864"));
    slotwise_string_free(&limits);
    SUCCEEDS(slotwise_limits_set, sizeof WORKLOAD - 2);
    FAILS_AT(SLOTWISE_ERROR_LIMIT_EXCEEDED, "workload", slotwise_workload_parse, TEXT(WORKLOAD), &none);
    SUCCEEDS(slotwise_limits_set, 0);
    SUCCEEDS(slotwise_workload_parse, TEXT(WORKLOAD), &none);
    slotwise_workload_free(none);
}

/* Many may ask a tracker at the same time; who changes it needs it alone. That is the caller's to see to. */
static pthread_rwlock_t turn = PTHREAD_RWLOCK_INITIALIZER;

static void *ask(void *which) {
    const char *owner = which;
    for (int i = 0; i < 100; i++) {
        slotwise_string text = {NULL, 0};
        slotwise_error *error = NULL;
        slotwise_workload *none = NULL;
        uint32_t outcome = 7;
        bool as_expected = slotwise_pools_fit(pools, workload, &outcome, i % 2 ? &text : NULL, NULL) == SLOTWISE_OK
            && outcome == SLOTWISE_OUTCOME_FITS
            && slotwise_workload_parse(TEXT("{"), &none, &error) == SLOTWISE_ERROR_INVALID_JSON
            && slotwise_error_line(error) == 1;
        slotwise_string_free(&text);
        slotwise_error_free(error);
        pthread_rwlock_rdlock(&turn);
        as_expected = as_expected && slotwise_tracker_fit(tracker, workload, &outcome, &text, NULL) == SLOTWISE_OK;
        pthread_rwlock_unlock(&turn);
        slotwise_string_free(&text);
        if (i % 10 == 0) {
            pthread_rwlock_wrlock(&turn);
            as_expected = as_expected
                && slotwise_tracker_claim(tracker, owner, strlen(owner), workload, &outcome, NULL, NULL) == SLOTWISE_OK
                && slotwise_tracker_free_owner(tracker, owner, strlen(owner), NULL, 0, &text, NULL) == SLOTWISE_OK
                && (outcome == SLOTWISE_OUTCOME_FITS) == holds(&text, "0000:");
            pthread_rwlock_unlock(&turn);
            slotwise_string_free(&text);
        }
        if (!as_expected) {
            return NULL;
        }
    }
    return which;
}

static void eight_threads_share_one_tracker(void) {
    static char owners[8][5] = {"vm-0", "vm-1", "vm-2", "vm-3", "vm-4", "vm-5", "vm-6", "vm-7"};
    struct lines lines = {PTHREAD_MUTEX_INITIALIZER, 0, 0, 0, ""};
    pthread_t threads[8];
    SUCCEEDS(slotwise_log_set, keep, &lines, SLOTWISE_LOG_DEBUG);
    for (int i = 0; i < 8; i++) {
        CHECK(pthread_create(&threads[i], NULL, ask, owners[i]) == 0);
    }
    for (int i = 0; i < 8; i++) {
        void *result = NULL;
        CHECK(pthread_join(threads[i], &result) == 0 && result != NULL);
    }
    SUCCEEDS(slotwise_log_set, NULL, NULL, SLOTWISE_LOG_OFF);
    /* From each thread: a parse that failed each time, and now and then a claim and a free. */
    CHECK(lines.count == 8 * (100 + 2 * 10) && lines.malformed == 0);
}

static const char BATCH[] =
    "{\"items\": [{\"owner\": \"vm-8\", \"workload\": {\"requests\": [{\"alternatives\": [{\"vendor_id\": \"8086\"}]}]}}]}";

static void a_fleet_answers_in_bitmaps_and_arrays(void) {
    slotwise_fleet *fleet = NULL;
    slotwise_fleet *copy = NULL;
    slotwise_pools *left = NULL;
    slotwise_string text = {NULL, 0};
    slotwise_bytes hosts = {NULL, 0};
    slotwise_bytes undecided = {NULL, 0};
    const uint64_t version = 7;
    const uint8_t second = 2;
    uint32_t ids[1] = {9};
    double scores[4] = {-1, -1, -1, -1};
    uint32_t id = 9;
    uint32_t outcome = 9;
    uint64_t known = 0;
    size_t count = 0;
    bool changed = false;
    SUCCEEDS(slotwise_fleet_new, &fleet);
    SUCCEEDS(slotwise_fleet_put, fleet, TEXT("a"), TEXT(POOLS), NULL, 0, &version, &text);
    CHECK(strcmp(text.data, "{\"id\":0,\"version\":7,\"outcome\":\"inserted\"}") == 0);
    slotwise_string_free(&text);
    FAILS_AT(SLOTWISE_ERROR_CONFLICT, "version", slotwise_fleet_put, fleet, TEXT("a"), TEXT("[]"), NULL, 0, &version, &text);
    SUCCEEDS(slotwise_fleet_load, fleet,
             TEXT("{\"host\": \"b\", \"pools\": [{\"vendor_id\": \"8086\", \"product_id\": \"1520\", \"count\": 1}]}\n"
                  "{\"host\": \"c\", \"pools\": null}"),
             &text);
    CHECK(holds(&text, "\"inserted\":2"));
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_fleet_id, fleet, TEXT("b"), &id, &known);
    CHECK(id == 1 && known == 1);
    FAILS_AT(SLOTWISE_ERROR_UNKNOWN_HOST, "host", slotwise_fleet_id, fleet, TEXT("z"), &id, &known);
    SUCCEEDS(slotwise_fleet_filter, fleet, workload, NULL, 0, NULL, 0, NULL, 0, &hosts, &undecided, NULL);
    CHECK(hosts.len == 1 && hosts.data[0] == 3 && undecided.len == 0);
    SUCCEEDS(slotwise_fleet_names, fleet, hosts.data, hosts.len, &text);
    CHECK(strcmp(text.data, "[\"a\",\"b\"]") == 0);
    slotwise_string_free(&text);
    slotwise_bytes_free(&hosts);
    slotwise_bytes_free(&undecided);
    SUCCEEDS(slotwise_fleet_filter, fleet, workload, NULL, 0, &second, 1, NULL, 0, &hosts, NULL, &text);
    CHECK(hosts.len == 1 && hosts.data[0] == 2 && holds(&text, "\"hosts\":[1]"));
    slotwise_bytes_free(&hosts);
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_fleet_rank, fleet, workload, TEXT("{\"weighers\": [{\"kind\": \"fewest_free\"}]}"), NULL, 0, ids, 1, scores, 4,
             &count, NULL);
    CHECK(count == 2 && ids[0] == 1 && scores[0] > scores[1] && scores[2] < 0);
    SUCCEEDS(slotwise_fleet_explain, fleet, workload, NULL, 0, NULL, 0, &text);
    CHECK(holds(&text, "\"message\""));
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_fleet_set_tags, fleet, TEXT("a"), TEXT("{\"rack\": \"r1\"}"), &changed);
    CHECK(changed);
    SUCCEEDS(slotwise_fleet_tags, fleet, TEXT("a"), &text);
    CHECK(holds(&text, "r1"));
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_fleet_place, fleet, TEXT(BATCH), NULL, 0, &text);
    CHECK(holds(&text, "\"outcome\":\"placed\""));
    SUCCEEDS(slotwise_fleet_reserve_placed, fleet, TEXT(BATCH), text.data, text.len, 10);
    FAILS_AT(SLOTWISE_ERROR_CONFLICT, "", slotwise_fleet_reserve_placed, fleet, TEXT(BATCH), text.data, text.len, 10);
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_fleet_reserve, fleet, TEXT("vm-9"), TEXT("b"), workload, 20, &outcome, NULL);
    CHECK(outcome == SLOTWISE_OUTCOME_FITS);
    SUCCEEDS(slotwise_fleet_fit, fleet, TEXT("b"), workload, &outcome, NULL);
    CHECK(outcome == SLOTWISE_OUTCOME_NO_FIT);
    SUCCEEDS(slotwise_fleet_reservations, fleet, &text);
    CHECK(holds(&text, "\"vm-8\":{\"host\":0,\"expires\":10}"));
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_fleet_snapshot, fleet, &hosts);
    SUCCEEDS(slotwise_fleet_restore, hosts.data, hosts.len, &copy);
    slotwise_bytes_free(&hosts);
    SUCCEEDS(slotwise_fleet_expire, copy, 10, &text);
    CHECK(strcmp(text.data, "[\"vm-8\"]") == 0);
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_fleet_release, copy, TEXT("vm-9"), &text);
    CHECK(holds(&text, "\"expires\":20"));
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_fleet_pools, copy, TEXT("b"), &left);
    SUCCEEDS(slotwise_pools_fit, left, workload, &outcome, NULL);
    CHECK(outcome == SLOTWISE_OUTCOME_FITS);
    slotwise_pools_free(left);
    SUCCEEDS(slotwise_fleet_apply, copy, TEXT("b"), TEXT("{\"base\": 1, \"version\": 2}"), &text);
    CHECK(holds(&text, "unchanged"));
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_fleet_remove, copy, TEXT("b"));
    SUCCEEDS(slotwise_fleet_hosts, copy, &hosts);
    CHECK(hosts.len == 1 && hosts.data[0] == 5);
    slotwise_bytes_free(&hosts);
    SUCCEEDS(slotwise_fleet_declare_demand, copy, TEXT("[]"));
    SUCCEEDS(slotwise_fleet_observe_demand, copy, workload);
    SUCCEEDS(slotwise_fleet_demand, copy, &text);
    CHECK(holds(&text, "\"weight\":1.0"));
    slotwise_string_free(&text);
    SUCCEEDS(slotwise_fleet_sequence, copy, &known);
    CHECK(known > 0);
    SUCCEEDS(slotwise_fleet_memory, copy, &text);
    CHECK(holds(&text, "\"total\""));
    slotwise_string_free(&text);
    slotwise_fleet_free(copy);
    slotwise_fleet_free(fleet);
}

static slotwise_fleet *shared_fleet;

/* Many may ask a fleet at the same time; who changes it needs it alone. */
static void *ask_fleet(void *which) {
    const char *owner = which;
    for (int i = 0; i < 100; i++) {
        slotwise_bytes hosts = {NULL, 0};
        uint32_t outcome = SLOTWISE_OUTCOME_NO_FIT;
        slotwise_string text = {NULL, 0};
        pthread_rwlock_rdlock(&turn);
        bool as_expected =
            slotwise_fleet_filter(shared_fleet, workload, NULL, 0, NULL, 0, NULL, 0, &hosts, NULL, NULL, NULL) == SLOTWISE_OK
            && hosts.len == 1 && hosts.data[0] == 1;
        pthread_rwlock_unlock(&turn);
        slotwise_bytes_free(&hosts);
        if (i % 10 == 0) {
            pthread_rwlock_wrlock(&turn);
            as_expected = as_expected
                && slotwise_fleet_reserve(shared_fleet, owner, strlen(owner), TEXT("a"), workload, 1, &outcome, NULL, NULL)
                    == SLOTWISE_OK
                && outcome == SLOTWISE_OUTCOME_FITS
                && slotwise_fleet_release(shared_fleet, owner, strlen(owner), &text, NULL) == SLOTWISE_OK;
            pthread_rwlock_unlock(&turn);
            slotwise_string_free(&text);
        }
        if (!as_expected) {
            return NULL;
        }
    }
    return which;
}

static void eight_threads_share_one_fleet(void) {
    static char owners[8][5] = {"vm-0", "vm-1", "vm-2", "vm-3", "vm-4", "vm-5", "vm-6", "vm-7"};
    pthread_t threads[8];
    slotwise_string text = {NULL, 0};
    SUCCEEDS(slotwise_fleet_new, &shared_fleet);
    SUCCEEDS(slotwise_fleet_put, shared_fleet, TEXT("a"), TEXT(POOLS), NULL, 0, NULL, &text);
    slotwise_string_free(&text);
    for (int i = 0; i < 8; i++) {
        CHECK(pthread_create(&threads[i], NULL, ask_fleet, owners[i]) == 0);
    }
    for (int i = 0; i < 8; i++) {
        void *result = NULL;
        CHECK(pthread_join(threads[i], &result) == 0 && result != NULL);
    }
    slotwise_fleet_free(shared_fleet);
}

int main(void) {
    CHECK(strcmp(slotwise_version(), SLOTWISE_VERSION) == 0);
    make_handles();
    a_result_without_a_place_changes_nothing();
    only_as_many_bytes_as_said_are_read();
    a_nul_in_a_text_does_not_end_it();
    unknown_words_are_refused();
    an_error_tells_what_where_and_what_to_do();
    the_table_of_errors_is_complete();
    handles_outlive_what_they_were_made_from();
    one_life_of_a_device();
    pools_are_asked_and_consumed();
    log_lines_go_to_the_caller();
    arguments_may_be_limited();
    eight_threads_share_one_tracker();
    a_fleet_answers_in_bitmaps_and_arrays();
    eight_threads_share_one_fleet();
    free_handles();
    printf("smoke.c: %u checks\n", checks);
    return 0;
}
