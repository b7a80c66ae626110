/* The C library as a C program meets it: NULL for every pointer, lengths that cannot be, text that is not UTF-8 or holds
 * a NUL, errors that are read back, handles that outlive what they were made from, threads, and one life of a device.
 */
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

static void freeing_null_does_nothing(void) {
    slotwise_string text = {NULL, 0};
    slotwise_bytes bytes = {NULL, 0};
    slotwise_error_free(NULL);
    slotwise_string_free(NULL);
    slotwise_string_free(&text);
    slotwise_bytes_free(NULL);
    slotwise_bytes_free(&bytes);
    slotwise_specs_free(NULL);
    slotwise_aliases_free(NULL);
    slotwise_config_free(NULL);
    slotwise_workload_free(NULL);
    slotwise_pools_free(NULL);
    slotwise_tracker_free(NULL);
}

static void errors_of_null_are_empty(void) {
    CHECK(slotwise_error_code(NULL) == SLOTWISE_OK);
    CHECK(slotwise_error_kind(NULL) == NULL);
    CHECK(slotwise_error_message(NULL) == NULL);
    CHECK(slotwise_error_path(NULL) == NULL);
    CHECK(slotwise_error_line(NULL) == 0);
    CHECK(slotwise_error_column(NULL) == 0);
    CHECK(slotwise_error_help(NULL) == NULL);
    CHECK(slotwise_error_text(NULL) == NULL);
    CHECK(slotwise_error_json(NULL) == NULL);
}

static void every_pointer_may_be_null(void) {
    /* Result parameters that must stay as they are: every call here fails. */
    slotwise_string text = {NULL, 7};
    slotwise_bytes bytes = {NULL, 7};
    slotwise_specs *no_specs = NULL;
    slotwise_aliases *no_aliases = NULL;
    slotwise_config *no_config = NULL;
    slotwise_pools *no_pools = NULL;
    slotwise_workload *no_workload = NULL;
    slotwise_tracker *no_tracker = NULL;
    uint32_t outcome = 7;
    uint64_t version = 7;
    bool flag = false;

    REFUSES_NULL("kinds", slotwise_error_kinds, NULL);

    REFUSES_NULL("entries", slotwise_specs_parse, NULL, 0, false, &no_specs);
    REFUSES_NULL("specs", slotwise_specs_parse, TEXT(SPECS), false, NULL);
    REFUSES_NULL("specs", slotwise_specs_list, NULL, &text);
    REFUSES_NULL("rules", slotwise_specs_list, specs, NULL);
    REFUSES_NULL("specs", slotwise_specs_warnings, NULL, &text);
    REFUSES_NULL("warnings", slotwise_specs_warnings, specs, NULL);
    REFUSES_NULL("specs", slotwise_specs_explain, NULL, TEXT("{}"), &text);
    REFUSES_NULL("device", slotwise_specs_explain, specs, NULL, 0, &text);
    REFUSES_NULL("explanation", slotwise_specs_explain, specs, TEXT("{}"), NULL);

    REFUSES_NULL("lines", slotwise_aliases_parse, NULL, 0, false, &no_aliases);
    REFUSES_NULL("aliases", slotwise_aliases_parse, TEXT(ALIASES), false, NULL);
    REFUSES_NULL("aliases", slotwise_aliases_create, NULL, TEXT(ALIASES), &text);
    REFUSES_NULL("lines", slotwise_aliases_create, aliases, NULL, 0, &text);
    REFUSES_NULL("alias", slotwise_aliases_create, aliases, TEXT(ALIASES), NULL);
    REFUSES_NULL("aliases", slotwise_aliases_update, NULL, TEXT(ALIASES), &text);
    REFUSES_NULL("lines", slotwise_aliases_update, aliases, NULL, 0, &text);
    REFUSES_NULL("alias", slotwise_aliases_update, aliases, TEXT(ALIASES), NULL);
    REFUSES_NULL("aliases", slotwise_aliases_delete, NULL, TEXT("nic"), &text);
    REFUSES_NULL("name", slotwise_aliases_delete, aliases, NULL, 0, &text);
    REFUSES_NULL("alias", slotwise_aliases_delete, aliases, TEXT("nic"), NULL);
    REFUSES_NULL("aliases", slotwise_aliases_list, NULL, &text);
    REFUSES_NULL("list", slotwise_aliases_list, aliases, NULL);
    REFUSES_NULL("aliases", slotwise_aliases_warnings, NULL, &text);
    REFUSES_NULL("warnings", slotwise_aliases_warnings, aliases, NULL);
    REFUSES_NULL("aliases", slotwise_aliases_requests, NULL, TEXT("nic:1"), NULL, 0, &text);
    REFUSES_NULL("flavor", slotwise_aliases_requests, aliases, NULL, 0, NULL, 0, &text);
    REFUSES_NULL("numa_policy", slotwise_aliases_requests, aliases, TEXT("nic:1"), NULL, 1, &text);
    REFUSES_NULL("requests", slotwise_aliases_requests, aliases, TEXT("nic:1"), NULL, 0, NULL);

    REFUSES_NULL("format", slotwise_config_parse, NULL, 0, TEXT(CONFIG), &no_config);
    REFUSES_NULL("text", slotwise_config_parse, TEXT("nova.conf"), NULL, 0, &no_config);
    REFUSES_NULL("config", slotwise_config_parse, TEXT("nova.conf"), TEXT(CONFIG), NULL);
    REFUSES_NULL("config", slotwise_config_specs, NULL, &no_specs);
    REFUSES_NULL("specs", slotwise_config_specs, config, NULL);
    REFUSES_NULL("config", slotwise_config_aliases, NULL, &no_aliases);
    REFUSES_NULL("aliases", slotwise_config_aliases, config, NULL);
    REFUSES_NULL("config", slotwise_config_placement, NULL, &flag, &flag);
    REFUSES_NULL("report_in_placement", slotwise_config_placement, config, NULL, &flag);
    REFUSES_NULL("pci_in_placement", slotwise_config_placement, config, &flag, NULL);
    REFUSES_NULL("config", slotwise_config_warnings, NULL, &text);
    REFUSES_NULL("warnings", slotwise_config_warnings, config, NULL);

    REFUSES_NULL("workload", slotwise_workload_parse, NULL, 0, &no_workload);
    REFUSES_NULL("parsed", slotwise_workload_parse, TEXT(WORKLOAD), NULL);

    REFUSES_NULL("pools", slotwise_pools_parse, NULL, 0, NULL, 0, &no_pools);
    REFUSES_NULL("numa_topology", slotwise_pools_parse, TEXT(POOLS), NULL, 1, &no_pools);
    REFUSES_NULL("parsed", slotwise_pools_parse, TEXT(POOLS), NULL, 0, NULL);
    REFUSES_NULL("pools", slotwise_pools_fit, NULL, workload, &outcome, &text);
    REFUSES_NULL("workload", slotwise_pools_fit, pools, NULL, &outcome, &text);
    REFUSES_NULL("outcome", slotwise_pools_fit, pools, workload, NULL, &text);
    REFUSES_NULL("pools", slotwise_pools_consume, NULL, TEXT("{}"), &text);
    REFUSES_NULL("assignment", slotwise_pools_consume, pools, NULL, 0, &text);
    REFUSES_NULL("list", slotwise_pools_consume, pools, TEXT("{}"), NULL);
    REFUSES_NULL("pools", slotwise_pools_list, NULL, &text);
    REFUSES_NULL("list", slotwise_pools_list, pools, NULL);
    REFUSES_NULL("pools", slotwise_pools_group_by, NULL, TEXT("[]"), &text);
    REFUSES_NULL("keys", slotwise_pools_group_by, pools, NULL, 0, &text);
    REFUSES_NULL("groups", slotwise_pools_group_by, pools, TEXT("[]"), NULL);

    REFUSES_NULL("specs", slotwise_tracker_new, NULL, NULL, 0, &no_tracker);
    REFUSES_NULL("options", slotwise_tracker_new, specs, NULL, 1, &no_tracker);
    REFUSES_NULL("tracker", slotwise_tracker_new, specs, NULL, 0, NULL);
    REFUSES_NULL("specs", slotwise_tracker_load, NULL, NULL, 0, TEXT("[]"), &no_tracker);
    REFUSES_NULL("options", slotwise_tracker_load, specs, NULL, 1, TEXT("[]"), &no_tracker);
    REFUSES_NULL("rows", slotwise_tracker_load, specs, NULL, 0, NULL, 0, &no_tracker);
    REFUSES_NULL("tracker", slotwise_tracker_load, specs, NULL, 0, TEXT("[]"), NULL);
    REFUSES_NULL("tracker", slotwise_tracker_sync, NULL, TEXT("[]"), &text);
    REFUSES_NULL("devices", slotwise_tracker_sync, tracker, NULL, 0, &text);
    REFUSES_NULL("report", slotwise_tracker_sync, tracker, TEXT(DEVICES), NULL);
    REFUSES_NULL("tracker", slotwise_tracker_replace_specs, NULL, specs, true, &text);
    REFUSES_NULL("specs", slotwise_tracker_replace_specs, tracker, NULL, true, &text);
    REFUSES_NULL("diff", slotwise_tracker_replace_specs, tracker, specs, true, NULL);
    REFUSES_NULL("tracker", slotwise_tracker_pools, NULL, &text);
    REFUSES_NULL("pools", slotwise_tracker_pools, tracker, NULL);
    REFUSES_NULL("tracker", slotwise_tracker_group_by, NULL, TEXT("[]"), &text);
    REFUSES_NULL("keys", slotwise_tracker_group_by, tracker, NULL, 0, &text);
    REFUSES_NULL("groups", slotwise_tracker_group_by, tracker, TEXT("[]"), NULL);
    REFUSES_NULL("tracker", slotwise_tracker_devices, NULL, &text);
    REFUSES_NULL("devices", slotwise_tracker_devices, tracker, NULL);
    REFUSES_NULL("tracker", slotwise_tracker_explain, NULL, TEXT("0000:81:00.0"), &text);
    REFUSES_NULL("address", slotwise_tracker_explain, tracker, NULL, 0, &text);
    REFUSES_NULL("explanation", slotwise_tracker_explain, tracker, TEXT("0000:81:00.0"), NULL);
    REFUSES_NULL("tracker", slotwise_tracker_fit, NULL, workload, &outcome, &text);
    REFUSES_NULL("workload", slotwise_tracker_fit, tracker, NULL, &outcome, &text);
    REFUSES_NULL("outcome", slotwise_tracker_fit, tracker, workload, NULL, &text);
    REFUSES_NULL("tracker", slotwise_tracker_claim, NULL, TEXT("vm-1"), workload, &outcome, &text);
    REFUSES_NULL("owner", slotwise_tracker_claim, tracker, NULL, 0, workload, &outcome, &text);
    REFUSES_NULL("workload", slotwise_tracker_claim, tracker, TEXT("vm-1"), NULL, &outcome, &text);
    REFUSES_NULL("outcome", slotwise_tracker_claim, tracker, TEXT("vm-1"), workload, NULL, &text);
    REFUSES_NULL("tracker", slotwise_tracker_allocate, NULL, TEXT("vm-1"), &text);
    REFUSES_NULL("owner", slotwise_tracker_allocate, tracker, NULL, 0, &text);
    REFUSES_NULL("addresses", slotwise_tracker_allocate, tracker, TEXT("vm-1"), NULL);
    REFUSES_NULL("tracker", slotwise_tracker_free_owner, NULL, TEXT("vm-1"), NULL, 0, &text);
    REFUSES_NULL("owner", slotwise_tracker_free_owner, tracker, NULL, 0, NULL, 0, &text);
    REFUSES_NULL("scope", slotwise_tracker_free_owner, tracker, TEXT("vm-1"), NULL, 1, &text);
    REFUSES_NULL("addresses", slotwise_tracker_free_owner, tracker, TEXT("vm-1"), NULL, 0, NULL);
    REFUSES_NULL("tracker", slotwise_tracker_free_device, NULL, TEXT("vm-1"), TEXT("0000:81:00.0"));
    REFUSES_NULL("owner", slotwise_tracker_free_device, tracker, NULL, 0, TEXT("0000:81:00.0"));
    REFUSES_NULL("address", slotwise_tracker_free_device, tracker, TEXT("vm-1"), NULL, 0);
    REFUSES_NULL("tracker", slotwise_tracker_retain_owners, NULL, TEXT("[]"), &text);
    REFUSES_NULL("owners", slotwise_tracker_retain_owners, tracker, NULL, 0, &text);
    REFUSES_NULL("addresses", slotwise_tracker_retain_owners, tracker, TEXT("[]"), NULL);
    REFUSES_NULL("tracker", slotwise_tracker_bindings, NULL, TEXT("{}"), &text);
    REFUSES_NULL("query", slotwise_tracker_bindings, tracker, NULL, 0, &text);
    REFUSES_NULL("bindings", slotwise_tracker_bindings, tracker, TEXT("{}"), NULL);
    REFUSES_NULL("tracker", slotwise_tracker_changes, NULL, &text);
    REFUSES_NULL("changes", slotwise_tracker_changes, tracker, NULL);
    REFUSES_NULL("tracker", slotwise_tracker_written, NULL, TEXT("[]"));
    REFUSES_NULL("changes", slotwise_tracker_written, tracker, NULL, 0);
    REFUSES_NULL("tracker", slotwise_tracker_version, NULL, &version);
    REFUSES_NULL("version", slotwise_tracker_version, tracker, NULL);
    REFUSES_NULL("tracker", slotwise_tracker_snapshot, NULL, &bytes);
    REFUSES_NULL("snapshot", slotwise_tracker_snapshot, tracker, NULL);
    REFUSES_NULL("snapshot", slotwise_tracker_restore, NULL, 0, &no_tracker);
    REFUSES_NULL("tracker", slotwise_tracker_restore, (const uint8_t *)"x", 1, NULL);
    REFUSES_NULL("tracker", slotwise_tracker_snapshot_json, NULL, &text);
    REFUSES_NULL("snapshot", slotwise_tracker_snapshot_json, tracker, NULL);
    REFUSES_NULL("snapshot", slotwise_tracker_restore_json, NULL, 0, &no_tracker);
    REFUSES_NULL("tracker", slotwise_tracker_restore_json, TEXT("{}"), NULL);

    CHECK(text.data == NULL && text.len == 7);
    CHECK(bytes.data == NULL && bytes.len == 7);
    CHECK(no_specs == NULL && no_aliases == NULL && no_config == NULL);
    CHECK(no_pools == NULL && no_workload == NULL && no_tracker == NULL);
    CHECK(outcome == 7 && version == 7 && !flag);
}

static void a_result_without_a_place_changes_nothing(void) {
    uint64_t before = 0;
    uint64_t after = 1;
    SUCCEEDS(slotwise_tracker_version, tracker, &before);
    REFUSES_NULL("report", slotwise_tracker_sync, tracker, TEXT(DEVICES), NULL);
    SUCCEEDS(slotwise_tracker_version, tracker, &after);
    CHECK(before == after);
}

static void lengths_that_cannot_be_are_refused(void) {
    static const size_t lengths[] = {SIZE_MAX, (size_t)PTRDIFF_MAX + 1};
    slotwise_string text = {NULL, 0};
    slotwise_workload *none = NULL;
    slotwise_tracker *no_tracker = NULL;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        FAILS_AT(SLOTWISE_ERROR_INVALID_ARGUMENT, "workload", slotwise_workload_parse, "{}", lengths[i], &none);
        FAILS_AT(SLOTWISE_ERROR_INVALID_ARGUMENT, "options", slotwise_tracker_new, specs, "{}", lengths[i], &no_tracker);
        FAILS_AT(SLOTWISE_ERROR_INVALID_ARGUMENT, "owner", slotwise_tracker_allocate, tracker, "vm", lengths[i], &text);
        FAILS_AT(
            SLOTWISE_ERROR_INVALID_ARGUMENT, "snapshot", slotwise_tracker_restore, (const uint8_t *)"x", lengths[i],
            &no_tracker);
    }
    /* Only as many bytes as are said are read: these texts go on, and the second is not terminated. */
    {
        char open[2] = {'[', ']'};
        slotwise_specs *empty = NULL;
        SUCCEEDS(slotwise_workload_parse, "{\"requests\": []}garbage", sizeof "{\"requests\": []}" - 1, &none);
        SUCCEEDS(slotwise_specs_parse, open, sizeof open, false, &empty);
        slotwise_workload_free(none);
        slotwise_specs_free(empty);
        FAILS_AT(SLOTWISE_ERROR_INVALID_JSON, "entries", slotwise_specs_parse, open, 1, false, &empty);
        FAILS_AT(SLOTWISE_ERROR_INVALID_JSON, "entries", slotwise_specs_parse, open, 0, false, &empty);
    }
}

static void text_that_is_not_utf8_is_refused(void) {
    slotwise_string text = {NULL, 0};
    slotwise_specs *no_specs = NULL;
    slotwise_aliases *no_aliases = NULL;
    slotwise_config *no_config = NULL;
    slotwise_pools *no_pools = NULL;
    slotwise_workload *no_workload = NULL;
    slotwise_tracker *no_tracker = NULL;
    uint32_t outcome = 0;
    const uint32_t code = SLOTWISE_ERROR_INVALID_UTF8;
    FAILS_AT(code, "entries", slotwise_specs_parse, TEXT("[\"\xff\"]"), false, &no_specs);
    FAILS_AT(code, "device", slotwise_specs_explain, specs, TEXT("\x80"), &text);
    FAILS_AT(code, "lines", slotwise_aliases_parse, TEXT("\xc3"), false, &no_aliases);
    FAILS_AT(code, "name", slotwise_aliases_delete, aliases, TEXT("\xed\xa0\x80"), &text);
    FAILS_AT(code, "flavor", slotwise_aliases_requests, aliases, TEXT("\xf8"), NULL, 0, &text);
    FAILS_AT(code, "numa_policy", slotwise_aliases_requests, aliases, TEXT("nic:1"), TEXT("\xff"), &text);
    FAILS_AT(code, "format", slotwise_config_parse, TEXT("\xff"), TEXT(CONFIG), &no_config);
    FAILS_AT(code, "text", slotwise_config_parse, TEXT("toml"), TEXT("\xff"), &no_config);
    FAILS_AT(code, "workload", slotwise_workload_parse, TEXT("\xff"), &no_workload);
    FAILS_AT(code, "pools", slotwise_pools_parse, TEXT("\xff"), NULL, 0, &no_pools);
    FAILS_AT(code, "numa_topology", slotwise_pools_parse, TEXT(POOLS), TEXT("\xff"), &no_pools);
    FAILS_AT(code, "options", slotwise_tracker_new, specs, TEXT("\xff"), &no_tracker);
    FAILS_AT(code, "owner", slotwise_tracker_claim, tracker, TEXT("\xff"), workload, &outcome, &text);
    FAILS_AT(code, "scope", slotwise_tracker_free_owner, tracker, TEXT("vm-1"), TEXT("\xff"), &text);
    FAILS_AT(code, "address", slotwise_tracker_explain, tracker, TEXT("\xff"), &text);
    FAILS_AT(code, "snapshot", slotwise_tracker_restore_json, TEXT("\xff"), &no_tracker);
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

static void *ask(void *unused) {
    (void)unused;
    for (int i = 0; i < 200; i++) {
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
        if (!as_expected) {
            return NULL;
        }
    }
    return &pools;
}

static void eight_threads_share_what_is_const(void) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        CHECK(pthread_create(&threads[i], NULL, ask, NULL) == 0);
    }
    for (int i = 0; i < 8; i++) {
        void *result = NULL;
        CHECK(pthread_join(threads[i], &result) == 0 && result != NULL);
    }
}

int main(void) {
    CHECK(strcmp(slotwise_version(), SLOTWISE_VERSION) == 0);
    make_handles();
    freeing_null_does_nothing();
    errors_of_null_are_empty();
    every_pointer_may_be_null();
    a_result_without_a_place_changes_nothing();
    lengths_that_cannot_be_are_refused();
    text_that_is_not_utf8_is_refused();
    a_nul_in_a_text_does_not_end_it();
    unknown_words_are_refused();
    an_error_tells_what_where_and_what_to_do();
    the_table_of_errors_is_complete();
    handles_outlive_what_they_were_made_from();
    one_life_of_a_device();
    pools_are_asked_and_consumed();
    eight_threads_share_what_is_const();
    free_handles();
    printf("smoke.c: %u checks\n", checks);
    return 0;
}
