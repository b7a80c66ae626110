// The C++ layer: exceptions instead of codes, objects that free themselves, moves, and one life of a device.

#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "check.h"
#include "slotwise.hpp"

namespace {

const char SPECS[] = R"([{"vendor_id": "8086", "product_id": "1520", "physical_network": "blue"}])";
const char DEVICES[] = R"([
    {"address": "0000:81:00.0", "vendor_id": "8086", "product_id": "1520", "numa_node": 0},
    {"address": "0000:82:00.0", "vendor_id": "8086", "product_id": "1520", "numa_node": 1}])";
const char WORKLOAD[] = R"({"requests": [{"request_id": "r1", "count": 1, "alternatives": [{"vendor_id": "8086"}]}]})";

bool holds(const std::string &text, const char *part) { return text.find(part) != std::string::npos; }

/// The error that the call throws; its code is 0 if it throws none.
template <class Call> slotwise::Error error_of(Call &&call) {
    try {
        call();
    } catch (const slotwise::Error &error) {
        return error;
    }
    return slotwise::Error(SLOTWISE_OK, nullptr);
}

void errors_are_exceptions() {
    const auto error =
        error_of([] { slotwise::Workload::parse("{\"requests\": [\n {\"count\": 0, \"alternatives\": [{}]}]}"); });
    CHECK(error.code() == SLOTWISE_ERROR_INVALID_REQUEST);
    CHECK(error.kind() == "invalid_request");
    CHECK(error.message() == "count 0 is out of range");
    CHECK(error.path() == "workload.requests[0].count");
    CHECK(error.line() == 2 && error.column() > 0);
    CHECK(!error.help().empty());
    CHECK(holds(error.what(), "workload.requests[0].count, line 2"));
    CHECK(holds(error.json(), "\"kind\":\"invalid_request\""));

    // A view of nothing stands for NULL; an empty text does not.
    CHECK(error_of([] { slotwise::Specs::parse({}); }).code() == SLOTWISE_ERROR_INVALID_ARGUMENT);
    CHECK(error_of([] { slotwise::Specs::parse(""); }).code() == SLOTWISE_ERROR_INVALID_JSON);
    CHECK(error_of([] { slotwise::Specs::parse("\xff"); }).code() == SLOTWISE_ERROR_INVALID_UTF8);
    CHECK(error_of([] { slotwise::Tracker::restore({}); }).code() == SLOTWISE_ERROR_INVALID_SNAPSHOT);
    CHECK(error_of([] { slotwise::Config::parse("yaml", ""); }).path() == "format");
}

void larger_arguments_can_be_refused() {
    slotwise::limits_set(16);
    CHECK(error_of([] { slotwise::Workload::parse(WORKLOAD); }).code() == SLOTWISE_ERROR_LIMIT_EXCEEDED);
    slotwise::limits_set(0);
    CHECK(error_of([] { slotwise::Workload::parse(WORKLOAD); }).code() == SLOTWISE_OK);
}

void objects_move_and_do_not_copy() {
    static_assert(std::is_nothrow_move_constructible_v<slotwise::Tracker>);
    static_assert(!std::is_copy_constructible_v<slotwise::Tracker>);
    std::vector<slotwise::Workload> many;
    for (int i = 0; i < 10; i++) {
        many.push_back(slotwise::Workload::parse(WORKLOAD));
    }
    slotwise::Workload one = std::move(many.back());
    many.clear();
    auto pools =
        slotwise::Pools::parse(R"([{"vendor_id": "8086", "product_id": "1520", "numa_node": 0, "count": 1}])");
    CHECK(pools.outcome(one) == slotwise::Outcome::fits);
}

void aliases_are_edited() {
    auto aliases = slotwise::Aliases::parse("[]");
    CHECK(holds(aliases.create(R"([{"name": "nic", "vendor_id": "8086", "product_id": "1520"}])"), "\"nic\""));
    CHECK(error_of([&] { aliases.create(R"([{"name": "nic", "vendor_id": "8086", "product_id": "1520"}])"); }).code()
          == SLOTWISE_ERROR_ALREADY_EXISTS);
    CHECK(holds(aliases.update(R"([{"name": "nic", "vendor_id": "15b3", "product_id": "1018"}])"), "15b3"));
    CHECK(holds(aliases.requests("nic:2", "required"), "\"count\":2"));
    CHECK(holds(aliases.list(), "\"nic\""));
    CHECK(holds(aliases.remove("nic"), "\"nic\""));
    CHECK(aliases.list() == "[]");
}

void a_configuration_gives_rules_and_names() {
    const auto config = slotwise::Config::parse("toml", R"(
        [[pci.device_spec]]
        vendor_id = "8086"
        product_id = "1520"
        [[pci.alias]]
        name = "nic"
        vendor_id = "8086"
        product_id = "1520"
    )");
    CHECK(holds(config.specs().list(), "1520") && holds(config.aliases().list(), "nic"));
    CHECK(!config.report_in_placement() && !config.pci_in_placement());
    CHECK(config.warnings() == "[]" && config.aliases().warnings() == "[]");
}

void one_life_of_a_device() {
    const auto specs = slotwise::Specs::parse(SPECS);
    CHECK(holds(specs.list(), "1520") && specs.warnings() == "[]");
    const auto workload = slotwise::Workload::parse(WORKLOAD);
    slotwise::Tracker tracker(specs);
    CHECK(holds(tracker.sync(DEVICES), "0000:82:00.0"));
    tracker.written(tracker.changes());
    CHECK(tracker.changes() == "[]");
    CHECK(tracker.outcome(workload) == slotwise::Outcome::fits);
    const auto before = tracker.version();
    const auto fit = tracker.claim("vm-1", workload);
    CHECK(fit.outcome == slotwise::Outcome::fits && holds(fit.json, "0000:8"));
    CHECK(tracker.version() > before);
    CHECK(holds(tracker.bindings(), "\"owner\":\"vm-1\""));

    auto copy = slotwise::Tracker::restore(tracker.snapshot());
    CHECK(copy.devices() == tracker.devices());
    auto other = slotwise::Tracker::restore_json(tracker.snapshot_json());
    CHECK(other.snapshot() == tracker.snapshot());
    CHECK(holds(copy.free_owner("vm-1", "claims"), "0000:8"));
    CHECK(other.allocate("vm-1") != "[]");
    CHECK(other.claim("vm-2", workload).outcome == slotwise::Outcome::fits);
    CHECK(other.claim("vm-3", workload).outcome == slotwise::Outcome::no_fit);
    CHECK(error_of([&] { other.free_device("vm-3", "0000:81:00.0"); }).code() != SLOTWISE_OK);
    CHECK(other.retain_owners("[]") == R"(["0000:81:00.0","0000:82:00.0"])");

    auto pools = slotwise::Pools::parse(tracker.pools());
    const auto answer = pools.fit(workload);
    CHECK(answer.outcome == slotwise::Outcome::fits);
    pools.consume(answer.json);
    CHECK(pools.outcome(workload) == slotwise::Outcome::no_fit);
}

void a_fleet_answers_in_bitmaps() {
    const auto workload = slotwise::Workload::parse(WORKLOAD);
    const char *const pools = R"([{"vendor_id": "8086", "product_id": "1520", "count": 9}])";
    slotwise::Fleet fleet;
    CHECK(holds(fleet.put_version("a", pools, 7), "\"version\":7") && fleet.version("a") == 7);
    CHECK(holds(fleet.put("b", "[]"), "inserted") && fleet.id("b") == 1);
    CHECK(error_of([&] { fleet.put_version("a", "[]", 6); }).code() == SLOTWISE_ERROR_CONFLICT);
    CHECK(fleet.filter(workload) == slotwise::Fleet::Hosts{1} && fleet.hosts() == slotwise::Fleet::Hosts{3});
    CHECK(fleet.names() == R"(["a","b"])" && fleet.names(fleet.filter(workload)) == R"(["a"])");
    CHECK(fleet.names({}) == "[]" && holds(fleet.answer(workload), "\"fits\":1"));
    CHECK(fleet.rank(workload, 5).ids == std::vector<std::uint32_t>{0});
    CHECK(fleet.filter(workload, slotwise::Policies{}) == fleet.filter(workload));
    CHECK(fleet.set_tags("a", R"({"rack": "r1"})") && holds(fleet.tags("a"), "r1"));
    CHECK(fleet.reserve("vm-1", "a", workload, 10).outcome == slotwise::Outcome::fits);
    auto copy = slotwise::Fleet::restore(fleet.snapshot());
    CHECK(copy.reservations() == fleet.reservations() && copy.sequence() == fleet.sequence());
    CHECK(holds(copy.release("vm-1"), "\"expires\":10") && copy.expire(99) == "[]");
    CHECK(copy.pools("a").outcome(workload) == slotwise::Outcome::fits);
    CHECK(fleet.fit("b", workload).outcome == slotwise::Outcome::no_fit);
    CHECK(holds(fleet.explain(workload), "message") && holds(fleet.memory(), "total"));
    copy.remove("a");
    CHECK(copy.filter(workload).empty());
}

} // namespace

int main() try {
    CHECK(slotwise::version() == SLOTWISE_VERSION);
    CHECK(holds(slotwise::error_kinds(), "invalid_address") && holds(slotwise::limits(), "max_requests"));
    errors_are_exceptions();
    larger_arguments_can_be_refused();
    objects_move_and_do_not_copy();
    aliases_are_edited();
    a_configuration_gives_rules_and_names();
    one_life_of_a_device();
    a_fleet_answers_in_bitmaps();
    std::printf("smoke.cpp: %u checks\n", checks);
    return 0;
} catch (const slotwise::Error &error) {
    std::fprintf(stderr, "smoke.cpp: %s\n", error.what());
    return 1;
}
