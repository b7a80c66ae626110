/* Policies from C: loading, asking, failing, and every pointer that may be NULL. POLICIES is where the examples were built. */
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "slotwise.h"

#define TEXT(text) (text), (sizeof(text) - 1)
#define HOSTS                                                                              \
    "[{\"name\": \"a\", \"attributes\": {\"inlet_celsius\": 22}}, {\"name\": \"b\", \"attributes\": " \
    "{\"inlet_celsius\": 33}}, {\"name\": \"c\", \"pools\": [{\"vendor_id\": \"15b3\", \"product_id\": \"1018\", \"count\": 4}]}]"
#define HOT_RACKS POLICIES "/avoid-hot-racks.wasm"
#define TENANTS POLICIES "/separate-tenants.wasm"

static unsigned logged;

static void count(void *context, uint32_t level, const char *function, const char *message, size_t message_len) {
    (void)context, (void)level, (void)function;
    CHECK(strlen(message) == message_len);
    logged++;
}

static slotwise_policy *load(const char *path, const char *configuration, const char *options) {
    slotwise_policy *policy = NULL;
    slotwise_error *error = NULL;
    uint32_t code = slotwise_policy_load(path, strlen(path), (const uint8_t *)configuration, strlen(configuration), options,
                                         strlen(options), &policy, &error);
    if (code != SLOTWISE_OK) fprintf(stderr, "%s\n", slotwise_error_text(error));
    CHECK(code == SLOTWISE_OK && policy != NULL);
    return policy;
}

static void answers(void) {
    slotwise_policy *policy = load(HOT_RACKS, "refuse_over=32 prefer_below=20", "{\"limits\": {\"instances\": 1}}");
    slotwise_string text;
    CHECK(slotwise_policy_filter(policy, NULL, 0, TEXT(HOSTS), &text, NULL) == SLOTWISE_OK);
    CHECK(strcmp(text.data, "[null,\"policy avoid-hot-racks: the air inlet has 33 \xc2\xb0" "C, over 32 \xc2\xb0" "C\",null]") == 0);
    slotwise_string_free(&text);
    CHECK(slotwise_policy_score(policy, TEXT("{\"facts\": {\"project_id\": \"p\"}}"), TEXT(HOSTS), &text, NULL) == SLOTWISE_OK);
    CHECK(strcmp(text.data, "[-2.0,-13.0,0.04]") == 0);
    slotwise_string_free(&text);
    CHECK(slotwise_policy_prefer(policy, NULL, 0, TEXT("[]"), &text, NULL) == SLOTWISE_OK);
    CHECK(strcmp(text.data, "[]") == 0);
    slotwise_string_free(&text);
    CHECK(slotwise_policy_describe(policy, &text, NULL) == SLOTWISE_OK);
    CHECK(strstr(text.data, "\"scope\":[\"filter\",\"score\",\"attributes\",\"score_pools\"]") != NULL);
    slotwise_string_free(&text);
    slotwise_policy_free(policy);
    slotwise_policy_free(NULL);
}

static void failures(void) {
    slotwise_error *error = NULL;
    slotwise_policy *policy = NULL;
    slotwise_string text;
    CHECK(slotwise_policy_load(TEXT("no/such.wasm"), NULL, 0, NULL, 0, &policy, &error) == SLOTWISE_ERROR_INVALID_POLICY);
    CHECK(policy == NULL && strstr(slotwise_error_text(error), "no/such.wasm") != NULL);
    slotwise_error_free(error);
    CHECK(slotwise_policy_load(TEXT(HOT_RACKS), (const uint8_t *)"x", 1, NULL, 0, &policy, NULL) == SLOTWISE_ERROR_INVALID_POLICY);
    CHECK(slotwise_policy_load(TEXT(HOT_RACKS), NULL, 0, TEXT("{\"x\": 1}"), &policy, NULL) == SLOTWISE_ERROR_INVALID_JSON);
    CHECK(slotwise_policy_load(NULL, 1, NULL, 0, NULL, 0, &policy, NULL) == SLOTWISE_ERROR_INVALID_ARGUMENT);
    CHECK(slotwise_policy_load(TEXT(HOT_RACKS), NULL, 1, NULL, 0, &policy, NULL) == SLOTWISE_ERROR_INVALID_ARGUMENT);
    CHECK(slotwise_policy_load(TEXT(HOT_RACKS), NULL, 0, NULL, 0, NULL, NULL) == SLOTWISE_ERROR_INVALID_ARGUMENT);

    CHECK(slotwise_log_set(count, NULL, SLOTWISE_LOG_ERROR, NULL) == SLOTWISE_OK);
    policy = load(TENANTS, "leaf-1 = payroll", "{\"on_failure\": {\"drop_after\": 1}}");
    logged = 0;
    /* The fact project_id is not named: the policy refuses to say, which is a failure, and is dropped then. */
    CHECK(slotwise_policy_filter(policy, NULL, 0, TEXT(HOSTS), &text, NULL) == SLOTWISE_ERROR_POLICY_FAILED);
    CHECK(logged >= 2);
    CHECK(slotwise_policy_filter(policy, NULL, 0, TEXT(HOSTS), &text, NULL) == SLOTWISE_OK);
    CHECK(strcmp(text.data, "[null,null,null]") == 0);
    slotwise_string_free(&text);
    CHECK(slotwise_log_set(NULL, NULL, SLOTWISE_LOG_OFF, NULL) == SLOTWISE_OK);

    CHECK(slotwise_policy_filter(NULL, NULL, 0, TEXT(HOSTS), &text, NULL) == SLOTWISE_ERROR_INVALID_ARGUMENT);
    CHECK(slotwise_policy_filter(policy, NULL, 0, NULL, 0, &text, NULL) == SLOTWISE_ERROR_INVALID_ARGUMENT);
    CHECK(slotwise_policy_filter(policy, NULL, 0, TEXT(HOSTS), NULL, NULL) == SLOTWISE_ERROR_INVALID_ARGUMENT);
    CHECK(slotwise_policy_score(policy, TEXT("{\"x\": 1}"), TEXT(HOSTS), &text, NULL) == SLOTWISE_ERROR_INVALID_JSON);
    CHECK(slotwise_policy_prefer(policy, NULL, 0, TEXT("{"), &text, NULL) == SLOTWISE_ERROR_INVALID_JSON);
    CHECK(slotwise_policy_describe(policy, NULL, NULL) == SLOTWISE_ERROR_INVALID_ARGUMENT);
    slotwise_policy_free(policy);
}

static slotwise_policy *asked_inside;
static bool inside;

/* A log function that asks a policy that fails itself: that is not logged, in whichever thread the policy runs. */
static void ask(void *context, uint32_t level, const char *function, const char *message, size_t message_len) {
    (void)context, (void)level, (void)function, (void)message, (void)message_len;
    slotwise_string text;
    CHECK(!inside);
    inside = true;
    CHECK(slotwise_policy_filter(asked_inside, NULL, 0, TEXT(HOSTS), &text, NULL) == SLOTWISE_ERROR_POLICY_FAILED);
    inside = false;
    logged++;
}

static void while_logging(void) {
    slotwise_policy *policy = load(TENANTS, "leaf-1 = payroll", "");
    slotwise_string text;
    asked_inside = load(TENANTS, "leaf-1 = payroll", "");
    logged = 0;
    CHECK(slotwise_log_set(ask, NULL, SLOTWISE_LOG_DEBUG, NULL) == SLOTWISE_OK);
    CHECK(slotwise_policy_filter(policy, NULL, 0, TEXT(HOSTS), &text, NULL) == SLOTWISE_ERROR_POLICY_FAILED);
    CHECK(slotwise_log_set(NULL, NULL, SLOTWISE_LOG_OFF, NULL) == SLOTWISE_OK);
    CHECK(logged >= 2);
    slotwise_policy_free(asked_inside);
    slotwise_policy_free(policy);
}

#define REQUEST "{\"requests\": [{\"alternatives\": [{\"product_id\": \"1018\"}]}]}"
#define POOLS "[{\"vendor_id\": \"15b3\", \"product_id\": \"1018\", \"count\": 4}]"

static slotwise_workload *workload_of(const char *text) {
    slotwise_workload *workload = NULL;
    CHECK(slotwise_workload_parse(text, strlen(text), &workload, NULL) == SLOTWISE_OK);
    return workload;
}

/* A fleet with a cool host and a hot one asks policies: what it answers, and what it says when one of them fails. */
static void in_a_fleet(void) {
    slotwise_policy *policies[3] = {load(HOT_RACKS, "refuse_over=32 prefer_below=20", ""), NULL,
                                    load(TENANTS, "leaf-1 = payroll", "")};
    slotwise_fleet *fleet = NULL;
    slotwise_error *error = NULL;
    slotwise_workload *workload = workload_of(REQUEST);
    slotwise_bytes hosts;
    slotwise_string text;
    size_t count;
    uint32_t id = 9;
    CHECK(slotwise_fleet_new(&fleet, NULL) == SLOTWISE_OK);
    CHECK(slotwise_fleet_load(fleet, TEXT("{\"host\": \"hot\", \"pools\": " POOLS ", \"tags\": {\"inlet_celsius\": \"33\"}}\n"
                                          "{\"host\": \"cool\", \"pools\": " POOLS ", \"tags\": {\"inlet_celsius\": \"22\"}}\n"),
                              &text, NULL) == SLOTWISE_OK);
    slotwise_string_free(&text);

    CHECK(slotwise_fleet_filter(fleet, workload, NULL, 0, NULL, 0, policies, 1, &hosts, NULL, &text, NULL) == SLOTWISE_OK);
    CHECK(hosts.len == 1 && hosts.data[0] == 2);
    CHECK(strstr(text.data, "\"refused\":[{\"reason\":\"policy avoid-hot-racks: the air inlet has 33") != NULL);
    slotwise_bytes_free(&hosts);
    slotwise_string_free(&text);
    CHECK(slotwise_fleet_rank(fleet, workload, NULL, 0, policies, 1, &id, 1, NULL, 0, &count, NULL, NULL) == SLOTWISE_OK);
    CHECK(count == 1 && id == 1);
    CHECK(slotwise_fleet_explain(fleet, workload, NULL, 0, policies, 1, &text, NULL) == SLOTWISE_OK);
    CHECK(strstr(text.data, "over 32 \xc2\xb0" "C") != NULL);
    slotwise_string_free(&text);
    CHECK(slotwise_fleet_place(fleet, TEXT("{\"items\": [{\"owner\": \"vm\", \"workload\": " REQUEST "}]}"), policies, 1, &text, NULL)
          == SLOTWISE_OK);
    CHECK(strstr(text.data, "\"host\":1") != NULL);
    slotwise_string_free(&text);

    /* The second policy of the array is NULL; without it the other one fails, because the fact project_id is not given. */
    CHECK(slotwise_fleet_explain(fleet, workload, NULL, 0, policies, 3, &text, &error) == SLOTWISE_ERROR_INVALID_ARGUMENT);
    CHECK(strcmp(slotwise_error_path(error), "policies[1]") == 0);
    slotwise_error_free(error);
    error = NULL;
    CHECK(slotwise_fleet_explain(fleet, workload, NULL, 0, policies + 2, 1, &text, &error) == SLOTWISE_ERROR_POLICY_FAILED);
    CHECK(strstr(slotwise_error_message(error), "separate-tenants") != NULL);
    slotwise_error_free(error);
    CHECK(slotwise_fleet_explain(fleet, workload, TEXT("{\"facts\": {\"project_id\": \"p\"}}"), policies + 2, 1, &text, NULL)
          == SLOTWISE_OK);
    slotwise_string_free(&text);
    slotwise_workload_free(workload);
    slotwise_fleet_free(fleet);
    slotwise_policy_free(policies[0]);
    slotwise_policy_free(policies[2]);
}

/* A tracker asks which of two devices goes first: the one whose link has all of its lanes. */
static void prefers(void) {
    slotwise_policy *policies[1] = {load(POLICIES "/narrow-links-last.wasm", "", "")};
    slotwise_specs *specs = NULL;
    slotwise_tracker *tracker = NULL;
    slotwise_workload *workload = workload_of(REQUEST), *ordered = NULL;
    slotwise_string text;
    uint32_t outcome;
    CHECK(slotwise_specs_parse(TEXT("[{\"vendor_id\": \"15b3\"}]"), false, &specs, NULL) == SLOTWISE_OK);
    CHECK(slotwise_tracker_new(specs, NULL, 0, &tracker, NULL) == SLOTWISE_OK);
    CHECK(slotwise_tracker_sync(
              tracker,
              TEXT("[{\"address\": \"0000:01:00.0\", \"vendor_id\": \"15b3\", \"product_id\": \"1018\", \"extra_info\": "
                   "{\"current_link_width\": \"1\", \"max_link_width\": \"16\"}}, "
                   "{\"address\": \"0000:02:00.0\", \"vendor_id\": \"15b3\", \"product_id\": \"1018\"}]"),
              &text, NULL) == SLOTWISE_OK);
    slotwise_string_free(&text);
    CHECK(slotwise_tracker_prefer(tracker, workload, NULL, 0, policies, 1, &ordered, NULL) == SLOTWISE_OK);
    CHECK(slotwise_tracker_claim(tracker, TEXT("vm"), ordered, &outcome, &text, NULL) == SLOTWISE_OK);
    CHECK(outcome == SLOTWISE_OUTCOME_FITS && strstr(text.data, "0000:02:00.0") != NULL);
    slotwise_string_free(&text);
    slotwise_workload_free(ordered);
    slotwise_workload_free(workload);
    slotwise_tracker_free(tracker);
    slotwise_specs_free(specs);
    slotwise_policy_free(policies[0]);
}

int main(void) {
    answers();
    failures();
    while_logging();
    in_a_fleet();
    prefers();
    printf("policy.c: %u checks\n", checks);
    return 0;
}
