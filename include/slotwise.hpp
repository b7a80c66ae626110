/** slotwise for C++17: owning handles, std::string results, exceptions instead of codes.
 *
 * A thin layer over slotwise.h, whose API conventions hold here too: member functions that are const may be called by
 * many threads at the same time, the others need the object for themselves. Objects are moved, not copied; one that was
 * moved from may only be assigned to or destroyed. Documents are JSON texts, as in slotwise.h.
 *
 * Every function that calls the library may throw slotwise::Error, and std::bad_alloc. Log lines are asked for by
 * slotwise_log_set() itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SLOTWISE_HPP
#define SLOTWISE_HPP

#include "slotwise.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slotwise {

/** What was wrong in a failed call; what() is message, place and remedy in one line. */
class Error : public std::runtime_error {
public:
    /** Takes over the facts of `error`, which stays the caller's and may be NULL. */
    Error(std::uint32_t code, const slotwise_error *error)
        : std::runtime_error(text(slotwise_error_text(error))), code_(code), line_(slotwise_error_line(error)),
          column_(slotwise_error_column(error)), kind_(text(slotwise_error_kind(error))),
          message_(text(slotwise_error_message(error))), path_(text(slotwise_error_path(error))),
          help_(text(slotwise_error_help(error))), json_(text(slotwise_error_json(error))) {}

    /** The slotwise_code. */
    std::uint32_t code() const noexcept { return code_; }
    /** The stable name of the kind, such as `invalid_address`. */
    const std::string &kind() const noexcept { return kind_; }
    /** What was wrong, without place and remedy. */
    const std::string &message() const noexcept { return message_; }
    /** The path inside the input; empty when the whole input is meant. */
    const std::string &path() const noexcept { return path_; }
    /** The line in the input text, counted from 1; 0 when there is none to tell. */
    std::uint32_t line() const noexcept { return line_; }
    /** The column in that line, in characters, counted from 1; 0 when there is none to tell. */
    std::uint32_t column() const noexcept { return column_; }
    /** What to do about it; empty when the message says it all. */
    const std::string &help() const noexcept { return help_; }
    /** The error as a JSON document. */
    const std::string &json() const noexcept { return json_; }

private:
    static std::string text(const char *text) { return text == nullptr ? std::string() : std::string(text); }

    std::uint32_t code_, line_, column_;
    std::string kind_, message_, path_, help_, json_;
};

/** The answer to a workload. */
enum class Outcome : std::uint32_t {
    fits = SLOTWISE_OUTCOME_FITS,
    no_fit = SLOTWISE_OUTCOME_NO_FIT,
    undecided = SLOTWISE_OUTCOME_UNDECIDED,
};

/** The whole answer to a workload: the outcome, and the document that gives assignment or reasons. */
struct Fit {
    Outcome outcome;
    std::string json;
};

namespace detail {

template <auto free> struct Deleter {
    template <class T> void operator()(T *handle) const noexcept { free(handle); }
};

template <class T, auto free> using Handle = std::unique_ptr<T, Deleter<free>>;

/** Makes the call with a place for its error, and throws that error. */
template <class Call> void check(Call &&call) {
    slotwise_error *error = nullptr;
    const std::uint32_t code = std::forward<Call>(call)(&error);
    if (code != SLOTWISE_OK) {
        const Handle<slotwise_error, slotwise_error_free> owned(error);
        throw Error(code, error);
    }
}

/** A result of the library that is freed even where copying it throws. */
struct Text {
    slotwise_string raw{nullptr, 0};
    Text() = default;
    Text(const Text &) = delete;
    Text &operator=(const Text &) = delete;
    ~Text() { slotwise_string_free(&raw); }
    std::string copy() const { return raw.data == nullptr ? std::string() : std::string(raw.data, raw.len); }
};

/** Makes a call that gives a text. */
template <class Call> std::string text(Call &&call) {
    Text result;
    check([&](slotwise_error **error) { return call(&result.raw, error); });
    return result.copy();
}

/** Makes a call that gives a handle. */
template <class Owner, class Call> Owner handle(Call &&call) {
    typename Owner::pointer raw = nullptr;
    check([&](slotwise_error **error) { return call(&raw, error); });
    return Owner(raw);
}

} // namespace detail

/** The version of the library that is linked. */
inline std::string version() { return slotwise_version(); }

/** All kinds of errors as a JSON array. */
inline std::string error_kinds() { return detail::text(slotwise_error_kinds); }

/** The engine's limits on what it is handed, as a JSON object. */
inline std::string limits() { return detail::text(slotwise_limits); }

/** As slotwise_limits_set(), for the whole process. */
inline void limits_set(std::size_t bytes) {
    detail::check([&](auto error) { return slotwise_limits_set(bytes, error); });
}

/** The operator's rules. */
class Specs {
public:
    /** As slotwise_specs_parse(). */
    static Specs parse(std::string_view entries, bool report_in_placement = false) {
        return Specs(detail::handle<Handle>([&](auto out, auto error) {
            return slotwise_specs_parse(entries.data(), entries.size(), report_in_placement, out, error);
        }));
    }
    /** The rules in canonical form as a JSON array. */
    std::string list() const {
        return detail::text([&](auto out, auto error) { return slotwise_specs_list(get(), out, error); });
    }
    /** What is allowed but probably not meant, as a JSON array of sentences. */
    std::string warnings() const {
        return detail::text([&](auto out, auto error) { return slotwise_specs_warnings(get(), out, error); });
    }
    /** As slotwise_specs_explain(). */
    std::string explain(std::string_view device) const {
        return detail::text([&](auto out, auto error) {
            return slotwise_specs_explain(get(), device.data(), device.size(), out, error);
        });
    }
    /** The handle, for functions of slotwise.h; it stays this object's. */
    const slotwise_specs *get() const noexcept { return handle_.get(); }

private:
    friend class Config;
    using Handle = detail::Handle<slotwise_specs, slotwise_specs_free>;
    explicit Specs(Handle handle) : handle_(std::move(handle)) {}
    Handle handle_;
};

/** The operator's names for kinds of devices. */
class Aliases {
public:
    /** As slotwise_aliases_parse(). */
    static Aliases parse(std::string_view lines, bool pci_in_placement = false) {
        return Aliases(detail::handle<Handle>([&](auto out, auto error) {
            return slotwise_aliases_parse(lines.data(), lines.size(), pci_in_placement, out, error);
        }));
    }
    /** As slotwise_aliases_create(). */
    std::string create(std::string_view lines) {
        return detail::text([&](auto out, auto error) {
            return slotwise_aliases_create(get(), lines.data(), lines.size(), out, error);
        });
    }
    /** As slotwise_aliases_update(). */
    std::string update(std::string_view lines) {
        return detail::text([&](auto out, auto error) {
            return slotwise_aliases_update(get(), lines.data(), lines.size(), out, error);
        });
    }
    /** As slotwise_aliases_delete(); `delete` is a keyword. */
    std::string remove(std::string_view name) {
        return detail::text([&](auto out, auto error) {
            return slotwise_aliases_delete(get(), name.data(), name.size(), out, error);
        });
    }
    /** All aliases as a JSON array. */
    std::string list() const {
        return detail::text([&](auto out, auto error) { return slotwise_aliases_list(get(), out, error); });
    }
    /** What is allowed but probably not meant, as a JSON array of sentences. */
    std::string warnings() const {
        return detail::text([&](auto out, auto error) { return slotwise_aliases_warnings(get(), out, error); });
    }
    /** As slotwise_aliases_requests(). */
    std::string requests(std::string_view flavor, std::string_view numa_policy = {}) const {
        return detail::text([&](auto out, auto error) {
            return slotwise_aliases_requests(
                get(), flavor.data(), flavor.size(), numa_policy.data(), numa_policy.size(), out, error);
        });
    }
    /** The handle, for functions of slotwise.h; it stays this object's. */
    slotwise_aliases *get() noexcept { return handle_.get(); }
    /** The handle, for functions of slotwise.h; it stays this object's. */
    const slotwise_aliases *get() const noexcept { return handle_.get(); }

private:
    friend class Config;
    using Handle = detail::Handle<slotwise_aliases, slotwise_aliases_free>;
    explicit Aliases(Handle handle) : handle_(std::move(handle)) {}
    Handle handle_;
};

/** What a configuration file says about PCI devices. */
class Config {
public:
    /** As slotwise_config_parse(): `format` is `nova.conf` or `toml`. */
    static Config parse(std::string_view format, std::string_view text) {
        return Config(detail::handle<Handle>([&](auto out, auto error) {
            return slotwise_config_parse(format.data(), format.size(), text.data(), text.size(), out, error);
        }));
    }
    /** The rules, which outlive this object. */
    Specs specs() const {
        return Specs(detail::handle<Specs::Handle>(
            [&](auto out, auto error) { return slotwise_config_specs(handle_.get(), out, error); }));
    }
    /** The aliases, which outlive this object. */
    Aliases aliases() const {
        return Aliases(detail::handle<Aliases::Handle>(
            [&](auto out, auto error) { return slotwise_config_aliases(handle_.get(), out, error); }));
    }
    /** What is allowed but probably not meant, as a JSON array of sentences. */
    std::string warnings() const {
        return detail::text(
            [&](auto out, auto error) { return slotwise_config_warnings(handle_.get(), out, error); });
    }
    /** `[pci]report_in_placement`. */
    bool report_in_placement() const { return placement().first; }
    /** `[filter_scheduler]pci_in_placement`. */
    bool pci_in_placement() const { return placement().second; }

private:
    using Handle = detail::Handle<slotwise_config, slotwise_config_free>;
    explicit Config(Handle handle) : handle_(std::move(handle)) {}
    std::pair<bool, bool> placement() const {
        std::pair<bool, bool> both;
        detail::check([&](auto error) {
            return slotwise_config_placement(handle_.get(), &both.first, &both.second, error);
        });
        return both;
    }
    Handle handle_;
};

/** What one workload asks of one host. */
class Workload {
public:
    /** As slotwise_workload_parse(). */
    static Workload parse(std::string_view workload) {
        return Workload(detail::handle<Handle>([&](auto out, auto error) {
            return slotwise_workload_parse(workload.data(), workload.size(), out, error);
        }));
    }
    /** The handle, for functions of slotwise.h; it stays this object's. */
    const slotwise_workload *get() const noexcept { return handle_.get(); }

private:
    friend class Tracker;
    using Handle = detail::Handle<slotwise_workload, slotwise_workload_free>;
    explicit Workload(Handle handle) : handle_(std::move(handle)) {}
    Handle handle_;
};

/** The free devices of one host. */
class Pools {
public:
    /** As slotwise_pools_parse(). */
    static Pools parse(std::string_view pools, std::string_view numa_topology = {}) {
        return Pools(detail::handle<Handle>([&](auto out, auto error) {
            return slotwise_pools_parse(
                pools.data(), pools.size(), numa_topology.data(), numa_topology.size(), out, error);
        }));
    }
    /** Whether the workload fits; makes no document. */
    Outcome outcome(const Workload &workload) const {
        std::uint32_t outcome = 0;
        detail::check(
            [&](auto error) { return slotwise_pools_fit(get(), workload.get(), &outcome, nullptr, error); });
        return static_cast<Outcome>(outcome);
    }
    /** As slotwise_pools_fit(). */
    Fit fit(const Workload &workload) const {
        std::uint32_t outcome = 0;
        std::string json = detail::text([&](auto out, auto error) {
            return slotwise_pools_fit(get(), workload.get(), &outcome, out, error);
        });
        return Fit{static_cast<Outcome>(outcome), std::move(json)};
    }
    /** As slotwise_pools_consume(): takes the document of a fit. */
    std::string consume(std::string_view assignment) {
        return detail::text([&](auto out, auto error) {
            return slotwise_pools_consume(get(), assignment.data(), assignment.size(), out, error);
        });
    }
    /** The pools as a JSON array. */
    std::string list() const {
        return detail::text([&](auto out, auto error) { return slotwise_pools_list(get(), out, error); });
    }
    /** As slotwise_pools_group_by(). */
    std::string group_by(std::string_view keys) const {
        return detail::text([&](auto out, auto error) {
            return slotwise_pools_group_by(get(), keys.data(), keys.size(), out, error);
        });
    }
    /** The handle, for functions of slotwise.h; it stays this object's. */
    slotwise_pools *get() noexcept { return handle_.get(); }
    /** The handle, for functions of slotwise.h; it stays this object's. */
    const slotwise_pools *get() const noexcept { return handle_.get(); }

private:
    friend class Fleet;
    using Handle = detail::Handle<slotwise_pools, slotwise_pools_free>;
    explicit Pools(Handle handle) : handle_(std::move(handle)) {}
    Handle handle_;
};

/** An operator's policy: a WebAssembly component that is run under limits and without trust. */
class Policy {
public:
    /** As slotwise_policy_load(). */
    static Policy load(
        std::string_view path, std::string_view configuration = {}, std::string_view options = {}) {
        const auto *const bytes = reinterpret_cast<const std::uint8_t *>(configuration.data());
        return Policy(detail::handle<Handle>([&](auto out, auto error) {
            return slotwise_policy_load(path.data(), path.size(), bytes, configuration.size(), options.data(),
                                        options.size(), out, error);
        }));
    }
    /** As slotwise_policy_filter(). */
    std::string filter(std::string_view hosts, std::string_view query = {}) const {
        return ask(slotwise_policy_filter, hosts, query);
    }
    /** As slotwise_policy_score(). */
    std::string score(std::string_view hosts, std::string_view query = {}) const {
        return ask(slotwise_policy_score, hosts, query);
    }
    /** As slotwise_policy_prefer(). */
    std::string prefer(std::string_view devices, std::string_view query = {}) const {
        return ask(slotwise_policy_prefer, devices, query);
    }
    /** As slotwise_policy_describe(). */
    std::string describe() const {
        return detail::text([&](auto out, auto error) { return slotwise_policy_describe(get(), out, error); });
    }
    /** The handle, for Policies and for functions of slotwise.h; it stays this object's, and is only read. */
    slotwise_policy *get() const noexcept { return handle_.get(); }

private:
    using Handle = detail::Handle<slotwise_policy, slotwise_policy_free>;
    explicit Policy(Handle handle) : handle_(std::move(handle)) {}
    template <class Question>
    std::string ask(Question question, std::string_view rows, std::string_view query) const {
        return detail::text([&](auto out, auto error) {
            return question(get(), query.data(), query.size(), rows.data(), rows.size(), out, error);
        });
    }
    Handle handle_;
};

/** Policies that are asked, as `{hot.get(), tenants.get()}`; they need to live as long as the call. */
using Policies = std::vector<slotwise_policy *>;

/** Many hosts' pools in one index; sets of hosts are bitmaps, as in slotwise.h. */
class Fleet {
public:
    /** A bitmap: host `id` is bit `id % 8`, the lowest first, of byte `id / 8`. */
    using Hosts = std::vector<std::uint8_t>;
    /** Hosts, the best first, and their totals. */
    struct Ranking {
        std::vector<std::uint32_t> ids;
        std::vector<double> scores;
    };
    /** A fleet without hosts. */
    Fleet() : handle_(detail::handle<Handle>([](auto out, auto error) { return slotwise_fleet_new(out, error); })) {}
    /** As slotwise_fleet_restore(). */
    static Fleet restore(const std::vector<std::uint8_t> &snapshot) {
        static const std::uint8_t nothing = 0;
        const std::uint8_t *const data = snapshot.empty() ? &nothing : snapshot.data();
        return Fleet(detail::handle<Handle>(
            [&](auto out, auto error) { return slotwise_fleet_restore(data, snapshot.size(), out, error); }));
    }
    /** As slotwise_fleet_put(); the version counts on from the one that is there. */
    std::string put(std::string_view host, std::string_view pools, std::string_view numa_topology = {}) {
        return put_as(host, pools, numa_topology, nullptr);
    }
    /** As slotwise_fleet_put(), with the version that the host's owner knows this state under. */
    std::string put_version(
        std::string_view host, std::string_view pools, std::uint64_t version, std::string_view numa_topology = {}) {
        return put_as(host, pools, numa_topology, &version);
    }
    /** As slotwise_fleet_load(). */
    std::string load(std::string_view lines) {
        return detail::text([&](auto out, auto error) { return slotwise_fleet_load(get(), lines.data(), lines.size(), out, error); });
    }
    /** As slotwise_fleet_apply(). */
    std::string apply(std::string_view host, std::string_view delta) {
        return detail::text([&](auto out, auto error) { return slotwise_fleet_apply(get(), host.data(), host.size(), delta.data(), delta.size(), out, error); });
    }
    /** As slotwise_fleet_remove(). */
    void remove(std::string_view host) {
        detail::check([&](auto error) { return slotwise_fleet_remove(get(), host.data(), host.size(), error); });
    }
    /** As slotwise_fleet_set_tags(): whether that changed anything. */
    bool set_tags(std::string_view host, std::string_view tags) {
        bool changed = false;
        detail::check([&](auto error) {
            return slotwise_fleet_set_tags(
                get(), host.data(), host.size(), tags.data(), tags.size(), &changed, error);
        });
        return changed;
    }
    /** As slotwise_fleet_tags(). */
    std::string tags(std::string_view host) const {
        return detail::text([&](auto out, auto error) { return slotwise_fleet_tags(get(), host.data(), host.size(), out, error); });
    }
    /** The id of a host. */
    std::uint32_t id(std::string_view host) const { return numbers(host).first; }
    /** The version of a host's state. */
    std::uint64_t version(std::string_view host) const { return numbers(host).second; }
    /** As slotwise_fleet_pools(). */
    Pools pools(std::string_view host) const {
        return Pools(detail::handle<Pools::Handle>([&](auto out, auto error) {
            return slotwise_fleet_pools(get(), host.data(), host.size(), out, error);
        }));
    }
    /** The ids of all hosts. */
    Hosts hosts() const {
        return bytes([&](auto out, auto error) { return slotwise_fleet_hosts(get(), out, error); });
    }
    /** The names of all hosts as a JSON array. */
    std::string names() const {
        return detail::text([&](auto out, auto error) { return slotwise_fleet_names(get(), nullptr, 0, out, error); });
    }
    /** The names of these hosts as a JSON array. */
    std::string names(const Hosts &hosts) const {
        static const std::uint8_t nothing = 0;
        const std::uint8_t *const data = hosts.empty() ? &nothing : hosts.data();
        return detail::text(
            [&](auto out, auto error) { return slotwise_fleet_names(get(), data, hosts.size(), out, error); });
    }
    /** As slotwise_fleet_fit(). */
    Fit fit(std::string_view host, const Workload &workload) const {
        std::uint32_t outcome = 0;
        std::string json = detail::text([&](auto out, auto error) {
            return slotwise_fleet_fit(get(), host.data(), host.size(), workload.get(), &outcome, out, error);
        });
        return Fit{static_cast<Outcome>(outcome), std::move(json)};
    }
    /** The hosts that fit, of all; makes no document. */
    Hosts filter(const Workload &workload, const Policies &policies = {}) const {
        return bytes([&](auto out, auto error) {
            return slotwise_fleet_filter(get(), workload.get(), nullptr, 0, nullptr, 0, policies.data(),
                                         policies.size(), out, nullptr, nullptr, error);
        });
    }
    /** The whole answer of slotwise_fleet_filter() as JSON. */
    std::string answer(
        const Workload &workload, std::string_view options = {}, const Policies &policies = {}) const {
        Hosts hosts;
        std::string json;
        hosts = bytes([&](auto out, auto error) {
            detail::Text text;
            const std::uint32_t code = slotwise_fleet_filter(get(), workload.get(), options.data(), options.size(),
                                                             nullptr, 0, policies.data(), policies.size(), out,
                                                             nullptr, &text.raw, error);
            json = text.copy();
            return code;
        });
        return json;
    }
    /** As slotwise_fleet_rank(): the best `most` hosts. */
    Ranking rank(const Workload &workload, std::size_t most, std::string_view options = {},
                 const Policies &policies = {}) const {
        Ranking ranking{std::vector<std::uint32_t>(most), std::vector<double>(most)};
        std::size_t count = 0;
        detail::check([&](auto error) {
            return slotwise_fleet_rank(get(), workload.get(), options.data(), options.size(), policies.data(),
                                       policies.size(), ranking.ids.data(), most, ranking.scores.data(), most,
                                       &count, nullptr, error);
        });
        ranking.ids.resize(count < most ? count : most);
        ranking.scores.resize(ranking.ids.size());
        return ranking;
    }
    /** As slotwise_fleet_explain(). */
    std::string explain(
        const Workload &workload, std::string_view options = {}, const Policies &policies = {}) const {
        return detail::text([&](auto out, auto error) {
            return slotwise_fleet_explain(get(), workload.get(), options.data(), options.size(), policies.data(),
                                          policies.size(), out, error);
        });
    }
    /** As slotwise_fleet_place(). */
    std::string place(std::string_view batch, const Policies &policies = {}) const {
        return detail::text([&](auto out, auto error) {
            return slotwise_fleet_place(
                get(), batch.data(), batch.size(), policies.data(), policies.size(), out, error);
        });
    }
    /** As slotwise_fleet_reserve(). */
    Fit reserve(
        std::string_view owner, std::string_view host, const Workload &workload, std::uint64_t expires) {
        std::uint32_t outcome = 0;
        std::string json = detail::text([&](auto out, auto error) {
            return slotwise_fleet_reserve(get(), owner.data(), owner.size(), host.data(), host.size(),
                                          workload.get(), expires, &outcome, out, error);
        });
        return Fit{static_cast<Outcome>(outcome), std::move(json)};
    }
    /** As slotwise_fleet_reserve_placed(). */
    void reserve_placed(std::string_view batch, std::string_view placed, std::uint64_t expires) {
        detail::check([&](auto error) { return slotwise_fleet_reserve_placed(get(), batch.data(), batch.size(), placed.data(), placed.size(), expires, error); });
    }
    /** As slotwise_fleet_release(). */
    std::string release(std::string_view owner) {
        return detail::text([&](auto out, auto error) { return slotwise_fleet_release(get(), owner.data(), owner.size(), out, error); });
    }
    /** As slotwise_fleet_expire(). */
    std::string expire(std::uint64_t now) {
        return detail::text([&](auto out, auto error) { return slotwise_fleet_expire(get(), now, out, error); });
    }
    /** As slotwise_fleet_reservations(). */
    std::string reservations() const {
        return detail::text([&](auto out, auto error) { return slotwise_fleet_reservations(get(), out, error); });
    }
    /** As slotwise_fleet_declare_demand(). */
    void declare_demand(std::string_view demand) {
        detail::check([&](auto error) { return slotwise_fleet_declare_demand(get(), demand.data(), demand.size(), error); });
    }
    /** As slotwise_fleet_observe_demand(). */
    void observe_demand(const Workload &workload) {
        detail::check([&](auto error) { return slotwise_fleet_observe_demand(get(), workload.get(), error); });
    }
    /** As slotwise_fleet_demand(). */
    std::string demand() const {
        return detail::text([&](auto out, auto error) { return slotwise_fleet_demand(get(), out, error); });
    }
    /** As slotwise_fleet_sequence(). */
    std::uint64_t sequence() const {
        std::uint64_t sequence = 0;
        detail::check([&](auto error) { return slotwise_fleet_sequence(get(), &sequence, error); });
        return sequence;
    }
    /** As slotwise_fleet_memory(). */
    std::string memory() const {
        return detail::text([&](auto out, auto error) { return slotwise_fleet_memory(get(), out, error); });
    }
    /** As slotwise_fleet_snapshot(). */
    std::vector<std::uint8_t> snapshot() const {
        return bytes([&](auto out, auto error) { return slotwise_fleet_snapshot(get(), out, error); });
    }
    /** The handle, for functions of slotwise.h; it stays this object's. */
    slotwise_fleet *get() noexcept { return handle_.get(); }
    /** The handle, for functions of slotwise.h; it stays this object's. */
    const slotwise_fleet *get() const noexcept { return handle_.get(); }

private:
    using Handle = detail::Handle<slotwise_fleet, slotwise_fleet_free>;
    explicit Fleet(Handle handle) : handle_(std::move(handle)) {}
    /** Makes a call that gives bytes. */
    template <class Call> static std::vector<std::uint8_t> bytes(Call &&call) {
        struct Bytes {
            slotwise_bytes raw{nullptr, 0};
            ~Bytes() { slotwise_bytes_free(&raw); }
        } result;
        detail::check([&](auto error) { return call(&result.raw, error); });
        return std::vector<std::uint8_t>(result.raw.data, result.raw.data + result.raw.len);
    }
    std::string put_as(std::string_view host, std::string_view pools, std::string_view numa_topology,
                       const std::uint64_t *version) {
        return detail::text([&](auto out, auto error) {
            return slotwise_fleet_put(get(), host.data(), host.size(), pools.data(), pools.size(),
                                      numa_topology.data(), numa_topology.size(), version, out, error);
        });
    }
    std::pair<std::uint32_t, std::uint64_t> numbers(std::string_view host) const {
        std::pair<std::uint32_t, std::uint64_t> both;
        detail::check([&](auto error) {
            return slotwise_fleet_id(get(), host.data(), host.size(), &both.first, &both.second, error);
        });
        return both;
    }
    Handle handle_;
};

/** One host's truth. */
class Tracker {
public:
    /** As slotwise_tracker_new(). */
    explicit Tracker(const Specs &specs, std::string_view options = {})
        : handle_(detail::handle<Handle>([&](auto out, auto error) {
              return slotwise_tracker_new(specs.get(), options.data(), options.size(), out, error);
          })) {}
    /** As slotwise_tracker_load(). */
    static Tracker load(const Specs &specs, std::string_view options, std::string_view rows) {
        return Tracker(detail::handle<Handle>([&](auto out, auto error) {
            return slotwise_tracker_load(
                specs.get(), options.data(), options.size(), rows.data(), rows.size(), out, error);
        }));
    }
    /** As slotwise_tracker_restore(). */
    static Tracker restore(const std::vector<std::uint8_t> &snapshot) {
        // A vector without elements may have no address, but it is not left out: it is a snapshot cut short.
        static const std::uint8_t nothing = 0;
        const std::uint8_t *const data = snapshot.empty() ? &nothing : snapshot.data();
        return Tracker(detail::handle<Handle>(
            [&](auto out, auto error) { return slotwise_tracker_restore(data, snapshot.size(), out, error); }));
    }
    /** As slotwise_tracker_restore_json(). */
    static Tracker restore_json(std::string_view snapshot) {
        return Tracker(detail::handle<Handle>([&](auto out, auto error) {
            return slotwise_tracker_restore_json(snapshot.data(), snapshot.size(), out, error);
        }));
    }
    /** As slotwise_tracker_sync(). */
    std::string sync(std::string_view devices) {
        return detail::text([&](auto out, auto error) {
            return slotwise_tracker_sync(get(), devices.data(), devices.size(), out, error);
        });
    }
    /** As slotwise_tracker_replace_specs(). */
    std::string replace_specs(const Specs &specs, bool dry_run = false) {
        return detail::text([&](auto out, auto error) {
            return slotwise_tracker_replace_specs(get(), specs.get(), dry_run, out, error);
        });
    }
    /** The free devices, pooled, as a JSON array. */
    std::string pools() const {
        return detail::text([&](auto out, auto error) { return slotwise_tracker_pools(get(), out, error); });
    }
    /** As slotwise_tracker_group_by(). */
    std::string group_by(std::string_view keys) const {
        return detail::text([&](auto out, auto error) {
            return slotwise_tracker_group_by(get(), keys.data(), keys.size(), out, error);
        });
    }
    /** The assignable devices as a JSON array. */
    std::string devices() const {
        return detail::text([&](auto out, auto error) { return slotwise_tracker_devices(get(), out, error); });
    }
    /** As slotwise_tracker_explain(). */
    std::string explain(std::string_view address) const {
        return detail::text([&](auto out, auto error) {
            return slotwise_tracker_explain(get(), address.data(), address.size(), out, error);
        });
    }
    /** Whether the workload fits; makes no document. */
    Outcome outcome(const Workload &workload) const {
        std::uint32_t outcome = 0;
        detail::check(
            [&](auto error) { return slotwise_tracker_fit(get(), workload.get(), &outcome, nullptr, error); });
        return static_cast<Outcome>(outcome);
    }
    /** As slotwise_tracker_fit(). */
    Fit fit(const Workload &workload) const {
        std::uint32_t outcome = 0;
        std::string json = detail::text([&](auto out, auto error) {
            return slotwise_tracker_fit(get(), workload.get(), &outcome, out, error);
        });
        return Fit{static_cast<Outcome>(outcome), std::move(json)};
    }
    /** As slotwise_tracker_prefer(): the workload with the order in which the policies give devices away. */
    Workload prefer(const Workload &workload, const Policies &policies, std::string_view facts = {}) const {
        return Workload(detail::handle<Workload::Handle>([&](auto out, auto error) {
            return slotwise_tracker_prefer(get(), workload.get(), facts.data(), facts.size(), policies.data(),
                                           policies.size(), out, error);
        }));
    }
    /** As slotwise_tracker_claim(). */
    Fit claim(std::string_view owner, const Workload &workload) {
        std::uint32_t outcome = 0;
        std::string json = detail::text([&](auto out, auto error) {
            return slotwise_tracker_claim(
                get(), owner.data(), owner.size(), workload.get(), &outcome, out, error);
        });
        return Fit{static_cast<Outcome>(outcome), std::move(json)};
    }
    /** As slotwise_tracker_claim_fit(). */
    void claim_fit(std::string_view owner, const Workload &workload, std::string_view assignment) {
        detail::check([&](auto error) {
            return slotwise_tracker_claim_fit(
                get(), owner.data(), owner.size(), workload.get(), assignment.data(), assignment.size(), error);
        });
    }
    /** As slotwise_tracker_claim_all(). */
    Fit claim_all(std::string_view claims) {
        std::uint32_t outcome = 0;
        std::string json = detail::text([&](auto out, auto error) {
            return slotwise_tracker_claim_all(get(), claims.data(), claims.size(), &outcome, out, error);
        });
        return Fit{static_cast<Outcome>(outcome), std::move(json)};
    }
    /** As slotwise_tracker_allocate(). */
    std::string allocate(std::string_view owner) {
        return detail::text([&](auto out, auto error) {
            return slotwise_tracker_allocate(get(), owner.data(), owner.size(), out, error);
        });
    }
    /** As slotwise_tracker_free_owner(). */
    std::string free_owner(std::string_view owner, std::string_view scope = {}) {
        return detail::text([&](auto out, auto error) {
            return slotwise_tracker_free_owner(
                get(), owner.data(), owner.size(), scope.data(), scope.size(), out, error);
        });
    }
    /** As slotwise_tracker_free_device(). */
    void free_device(std::string_view owner, std::string_view address) {
        detail::check([&](auto error) {
            return slotwise_tracker_free_device(
                get(), owner.data(), owner.size(), address.data(), address.size(), error);
        });
    }
    /** As slotwise_tracker_retain_owners(). */
    std::string retain_owners(std::string_view owners) {
        return detail::text([&](auto out, auto error) {
            return slotwise_tracker_retain_owners(get(), owners.data(), owners.size(), out, error);
        });
    }
    /** As slotwise_tracker_bindings(). */
    std::string bindings(std::string_view query = "{}") const {
        return detail::text([&](auto out, auto error) {
            return slotwise_tracker_bindings(get(), query.data(), query.size(), out, error);
        });
    }
    /** As slotwise_tracker_changes(). */
    std::string changes() const {
        return detail::text([&](auto out, auto error) { return slotwise_tracker_changes(get(), out, error); });
    }
    /** As slotwise_tracker_written(). */
    void written(std::string_view changes) {
        detail::check(
            [&](auto error) { return slotwise_tracker_written(get(), changes.data(), changes.size(), error); });
    }
    /** As slotwise_tracker_version(). */
    std::uint64_t version() const {
        std::uint64_t version = 0;
        detail::check([&](auto error) { return slotwise_tracker_version(get(), &version, error); });
        return version;
    }
    /** As slotwise_tracker_snapshot(). */
    std::vector<std::uint8_t> snapshot() const {
        struct Bytes {
            slotwise_bytes raw{nullptr, 0};
            ~Bytes() { slotwise_bytes_free(&raw); }
        } bytes;
        detail::check([&](auto error) { return slotwise_tracker_snapshot(get(), &bytes.raw, error); });
        return std::vector<std::uint8_t>(bytes.raw.data, bytes.raw.data + bytes.raw.len);
    }
    /** As slotwise_tracker_snapshot_json(). */
    std::string snapshot_json() const {
        return detail::text(
            [&](auto out, auto error) { return slotwise_tracker_snapshot_json(get(), out, error); });
    }
    /** The handle, for functions of slotwise.h; it stays this object's. */
    slotwise_tracker *get() noexcept { return handle_.get(); }
    /** The handle, for functions of slotwise.h; it stays this object's. */
    const slotwise_tracker *get() const noexcept { return handle_.get(); }

private:
    using Handle = detail::Handle<slotwise_tracker, slotwise_tracker_free>;
    explicit Tracker(Handle handle) : handle_(std::move(handle)) {}
    Handle handle_;
};

} // namespace slotwise

#endif /* SLOTWISE_HPP */
