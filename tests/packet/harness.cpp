// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/harness.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "config/parse.h"
#include "kernel/tables.h"
#include "plan/header_template.h"
#include "sluice/hash.h"

namespace sluice::packet {
namespace {

constexpr std::size_t kLongestFrame = 65536;
constexpr std::uint32_t kFragBuckets = 256;

int cpus() {
    static const int count = ::libbpf_num_possible_cpus();
    return count;
}

/// The interface that test runs come by.
constexpr std::uint32_t kTestIfindex = 1;

/// Values of this CPU for `count` entries of a per-CPU array, from entry `from` on.
template <typename Value>
std::vector<Value> per_cpu_column(int fd, std::size_t count, std::uint32_t from = 0) {
    const auto width = static_cast<std::size_t>(cpus());
    const int cpu = ::sched_getcpu();
    std::vector<Value> cells(count * width);
    std::vector<std::uint32_t> keys(count);
    std::uint32_t next = 0;
    auto read = static_cast<__u32>(count);
    LIBBPF_OPTS(bpf_map_batch_opts, options);
    std::vector<Value> column(count);
    const std::uint32_t before = from - 1;  // The batch begins behind this key.
    if (::bpf_map_lookup_batch(fd, from == 0 ? nullptr : const_cast<std::uint32_t*>(&before), &next,
                               keys.data(), cells.data(), &read, &options) != 0 &&
        errno != ENOENT) {
        std::perror("read counters");
        std::abort();
    }
    for (std::size_t i = 0; i < read; ++i)
        column[keys[i] - from] = cells[i * width + static_cast<std::size_t>(cpu)];
    return column;
}

void forget(const kernel::FlowTable& table) {
    for (slc_flow_bucket& bucket : table.buckets())
        if (!std::ranges::all_of(bucket.entry, [](slc_u64 entry) { return entry == 0; }))
            bucket = {};
}

FlowCounts difference(const FlowCounts& now, const FlowCounts& was) {
    return {now.hits - was.hits,
            now.misses - was.misses,
            now.inserts - was.inserts,
            now.refused_full - was.refused_full,
            now.refused_ceiling - was.refused_ceiling,
            now.held - was.held,
            now.ids_unknown - was.ids_unknown};
}

std::uint32_t entries_of(int fd) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    return ::bpf_obj_get_info_by_fd(fd, &info, &size) == 0 ? info.max_entries : 0;
}

bpf_insn instruction(std::uint8_t code, std::int16_t off, std::int32_t imm) {
    bpf_insn out{};
    out.code = code;
    out.off = off;
    out.imm = imm;
    return out;
}

/// Whether a program of these instructions and "exit" loads.
UniqueFd load_program(std::vector<bpf_insn> program) {
    program.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0));
    return UniqueFd(::bpf_prog_load(BPF_PROG_TYPE_XDP, "slc_probe", "GPL", program.data(),
                                    program.size(), nullptr));
}

int silence(enum libbpf_print_level /*level*/, const char* /*format*/, va_list /*args*/) {
    return 0;
}

}  // namespace

std::string missing_privilege() {
    ::libbpf_set_print(silence);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(::sched_getcpu(), &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0) return "cannot be bound to one CPU";
    const UniqueFd map(
        ::bpf_map_create(BPF_MAP_TYPE_ARRAY, "slc_probe", sizeof(std::uint32_t), 8, 1, nullptr));
    if (!map.valid()) return "no privilege to create BPF maps (CAP_BPF)";
    const UniqueFd probe = load_program({instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, XDP_PASS)});
    if (!probe.valid()) return "no privilege to load XDP programs (CAP_NET_ADMIN)";
    const auto run = test_run(probe.get(), Bytes(64, 0));
    return run ? "" : "no test run of XDP programs: " + run.error().what;
}

Result<RunResult> test_run(int fd, const Bytes& frame) {
    static std::vector<std::uint8_t> out(kLongestFrame);
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_out = out.data(),
                .data_size_in = static_cast<__u32>(frame.size()),
                .data_size_out = static_cast<__u32>(out.size()), .repeat = 1);
    const int status = ::bpf_prog_test_run_opts(fd, &options);
    const int saved = errno;
    if (status != 0)
        return fail(sys_error(saved, fmt::format("test run of {} bytes", frame.size())));
    return RunResult{static_cast<Verdict>(options.retval),
                     Bytes(out.begin(), out.begin() + options.data_size_out)};
}

std::uint32_t first_reason_row(int fd) {
    const std::uint32_t row = SLC_REASON_INDEX(kTestIfindex, 0, 0);
    return entries_of(fd) > row ? row : 0;
}

ReasonReader::ReasonReader(int map_fd) : fd_(map_fd) {
    read();
    last_ = buffer_;
}

void ReasonReader::read() {
    buffer_ = per_cpu_column<slc_counter>(
        fd_, static_cast<std::size_t>(Reason::COUNT) * SLC_FAMPROTO_COUNT, first_reason_row(fd_));
}

std::vector<ReasonMove> ReasonReader::moves() {
    std::vector<ReasonMove> out;
    read();
    for (std::size_t i = 0; i < buffer_.size(); ++i) {
        if (buffer_[i].packets == last_[i].packets && buffer_[i].bytes == last_[i].bytes) continue;
        out.push_back({static_cast<Reason>(i / SLC_FAMPROTO_COUNT),
                       static_cast<std::uint32_t>(i % SLC_FAMPROTO_COUNT),
                       buffer_[i].packets - last_[i].packets, buffer_[i].bytes - last_[i].bytes});
    }
    last_ = buffer_;
    return out;
}

Result<std::unique_ptr<Bench>> Bench::open(const std::string& file) {
    const std::string path = std::string("tests/packet/configs/") + file;
    const std::string text = SLC_TRY(config::read_file(path), "bench");
    config::ParseOutcome outcome = config::parse(text, path);
    if (!outcome.ok()) return fail(Errc::invalid, outcome.errors.front().text());
    return from(std::move(outcome.config));
}

Result<std::unique_ptr<Bench>> Bench::from(config::Config config, const BenchOptions& options) {
    std::unique_ptr<Bench> bench(new Bench);
    bench->config_ = std::move(config);
    SLC_CHECK(bench->load(options), "bench " + bench->config_.node.name);
    return bench;
}

Result<void> Bench::load(const BenchOptions& options) {
    plan::CompileOptions compiling;
    compiling.table_seed = 0x5eed;
    compiling.frag_buckets = kFragBuckets;
    image_ = SLC_TRY(plan::compile(config_, ids_, compiling), "compile");
    image_.node.features |= SLC_FEATURE_SAMPLE;
    image_.node.sample_log2 = 0;
    if (options.spoil) options.spoil(image_);
    const plan::FlowGeometry flows = plan::flow_geometry(config_);
    const kernel::StateSizes sizes{.services = image_.highest_service + 1,
                                   .members = image_.highest_member + 1,
                                   .customers = image_.highest_customer + 1,
                                   .policies = image_.highest_policy + 1,
                                   .frag_buckets = kFragBuckets,
                                   .flows = options.leaving.value_or(flows)};
    state_ =
        std::make_unique<kernel::StateMaps>(SLC_TRY(kernel::StateMaps::open("", sizes), "state"));
    if (options.leaving) SLC_TRY(state_->flows().fit(flows), "state");
    kernel::LoadOptions loading;
    loading.isa = instruction_set();
    loading.next = config_.node.next;
    generation_ = std::make_unique<kernel::Generation>(
        SLC_TRY(kernel::Generation::load(image_, *state_, loading), "generation"));
    reasons_ = std::make_unique<ReasonReader>(state_fd("slc_reason_counters"));
    SLC_CHECK(resolve_members(), "members");
    members_.assign(generation_->members().begin(), generation_->members().end());
    return {};
}

Result<void> Bench::resolve_members() {
    const plan::TunnelSources sources{config_.node.tunnel_source4, config_.node.tunnel_source6,
                                      config_.node.gue_port};
    for (const plan::ImageMember& member : image_.members) {
        const plan::NextHop hop = fake_hop(member.address);
        generation_->set_local(member.id, hop.state == plan::HopState::local);
        if (hop.state != plan::HopState::resolved) continue;
        for (std::uint32_t variant = 0; variant < SLC_VARIANTS; ++variant) {
            if ((member.variants & (1U << variant)) == 0) continue;
            const auto forward = static_cast<config::Forward>(variant >> 1);
            const slc_template header = SLC_TRY(
                plan::build_template(forward, (variant & 1) != 0, member.address, hop, sources),
                member.address.text());
            SLC_CHECK(generation_->set_cell(member.id, variant, &header), member.address.text());
        }
    }
    return {};
}

int Bench::state_fd(const std::string& map) const {
    for (const auto& [name, fd] : state_->current())
        if (name == map) return fd;
    return -1;
}

std::vector<slc_service_counter> Bench::service_counters() const {
    const int fd = state_fd("slc_service_counters");
    return per_cpu_column<slc_service_counter>(fd, entries_of(fd));
}

std::vector<slc_counter> Bench::member_counters() const {
    const int fd = state_fd("slc_member_counters");
    return per_cpu_column<slc_counter>(fd, entries_of(fd));
}

FlowCounts Bench::flow_counters() const {
    const int fd = state_fd("slc_flow_counters");
    FlowCounts sum;
    for (const auto& counter : per_cpu_column<slc_flow_counter>(fd, entries_of(fd))) {
        sum.hits += counter.hits;
        sum.misses += counter.misses;
        sum.inserts += counter.inserts;
        sum.refused_full += counter.refused_full;
        sum.refused_ceiling += counter.refused_ceiling;
        sum.held += counter.held;
        sum.ids_unknown += counter.ids_unknown;
    }
    return sum;
}

Outcome Bench::run(const Bytes& frame) {
    const auto services = service_counters();
    const auto members = member_counters();
    const FlowCounts counts = flow_counters();
    (void)reasons_->moves();
    Outcome out;
    auto run = test_run(generation_->program_fd(), frame);
    if (!run) {
        std::fprintf(stderr, "%s\n", run.error().what.c_str());
        return out;
    }
    out.run = std::move(*run);
    out.reasons = reasons_->moves();
    out.counts = difference(flow_counters(), counts);
    const auto services_now = service_counters();
    for (const auto& [name, id] : ids_.services.names()) {
        const auto &was = services[id], &now = services_now[id];
        if (now.packets != was.packets)
            out.services.push_back({name, now.packets - was.packets, now.bytes - was.bytes,
                                    now.dropped_packets - was.dropped_packets,
                                    now.dropped_bytes - was.dropped_bytes});
    }
    const auto members_now = member_counters();
    for (const plan::ImageMember& member : image_.members) {
        const auto &was = members[member.id], &now = members_now[member.id];
        if (now.packets != was.packets)
            out.backends.push_back(
                {member.address.text(), now.packets - was.packets, now.bytes - was.bytes, 0, 0});
    }
    return out;
}

std::optional<slc_sample> Bench::newest_sample() const {
    const std::vector<slc_sample> samples = this->samples();
    if (samples.empty()) return {};
    // All are of one CPU, which counts them.
    return *std::ranges::max_element(samples, {}, &slc_sample::seq);
}

Result<kernel::Twin*> Bench::twin() {
    if (!twin_) {
        kernel::LoadOptions loading;
        loading.isa = instruction_set();
        twin_ = std::make_unique<kernel::Twin>(
            SLC_TRY(kernel::Twin::load(*generation_, *state_, loading), "twin"));
    }
    SLC_CHECK(twin_->clear_state(), "twin");
    twin_->copy_flows(state_->flows());
    twin_->copy_live(*generation_);
    return twin_.get();
}

void Bench::restore_live() {
    std::ranges::copy(image_.slots, generation_->slots().begin());
    std::ranges::copy(image_.rings, generation_->rings().begin());
    std::ranges::copy(image_.accounts, generation_->accounts().begin());
    std::ranges::copy(members_, generation_->members().begin());
    std::ranges::copy(image_.services, generation_->services().begin());
    forget(flows().current());
    if (flows().leaving()) forget(*flows().leaving());
}

void Bench::reset_state() {
    restore_live();
    const int frags = state_fd("slc_frags");
    const slc_frag_bucket empty{};
    for (std::uint32_t i = 0; i < state_->frag_buckets(); ++i)
        ::bpf_map_update_elem(frags, &i, &empty, BPF_ANY);
    const std::vector<slc_limiter> full(
        static_cast<std::size_t>(cpus()),
        slc_limiter{.refilled_ns = 0, .tokens_milli = 1000ULL * image_.node.icmp_burst});
    const std::uint32_t zero = 0;
    for (const char* name : {"slc_limiters", "slc_reject_limiters"})
        ::bpf_map_update_elem(state_fd(name), &zero, full.data(), BPF_ANY);
}

std::uint64_t Bench::hash_of(const Flow& flow, config::Affinity affinity) const {
    const bool tuple = affinity == config::Affinity::five_tuple;
    const bool port = affinity != config::Affinity::source;
    const auto src = plan::address_words(flow.src);
    auto dst = plan::address_words(flow.dst);
    const slc_u64* key = image_.node.ring_key;
    if (flow.fragment_id) {
        const std::uint32_t id =
            flow.src.is_ip6 ? __builtin_bswap32(*flow.fragment_id)
                            : __builtin_bswap16(static_cast<std::uint16_t>(*flow.fragment_id));
        const std::uint64_t tag =
            slc_frag_hash(key[0], key[1], src.data(), dst.data(), id, flow.proto);
        return tag != 0 ? tag : 1;
    }
    if (!tuple) dst = {};
    const std::uint16_t sport = port ? __builtin_bswap16(flow.sport) : 0;
    const std::uint16_t dport = tuple ? __builtin_bswap16(flow.dport) : 0;
    const std::uint8_t proto = tuple ? flow.proto : 0;
    if (flow.src.is_ip6)
        return slc_flow_hash6(key[0], key[1], src.data(), dst.data(), sport, dport, proto);
    return slc_flow_hash4(key[0], key[1], src[3], dst[3], sport, dport, proto);
}

config::Affinity Bench::affinity_of(const std::string& service) const {
    for (const config::Service& candidate : config_.services)
        if (candidate.name == service) return candidate.affinity;
    return config::Affinity::five_tuple;
}

std::uint64_t& Bench::slot_of(const std::string& service, std::uint64_t hash) {
    const std::uint64_t ring =
        image_.rings.at(image_.services.at(ids_.services.find(service)).ring);
    return generation_->slots()[SLC_RING_OFFSET(ring) + slc_slot_of(hash, SLC_RING_LOG2(ring))];
}

std::uint32_t Bench::member_of(const std::string& group, const std::string& address) const {
    for (const plan::ImageMember& member : image_.members)
        if (config_.groups.at(member.group).name == group && member.address.text() == address)
            return member.id;
    std::fprintf(stderr, "no member %s/%s\n", group.c_str(), address.c_str());
    std::abort();
}

std::string Bench::owner_of(const std::string& service, std::uint64_t hash) const {
    const std::uint32_t id = ids_.services.find(service);
    const std::uint64_t ring = image_.rings.at(image_.services.at(id).ring);
    const std::uint32_t slot = SLC_RING_OFFSET(ring) + slc_slot_of(hash, SLC_RING_LOG2(ring));
    const std::uint32_t owner = SLC_SLOT_CURRENT(image_.slots.at(slot));
    for (const plan::ImageMember& member : image_.members)
        if (member.id == owner) return member.address.text();
    return "nobody";
}

Bench& bench_for(const std::string& file) {
    static std::map<std::string, std::unique_ptr<Bench>> benches;
    auto& bench = benches[file];
    if (!bench) {
        auto opened = Bench::open(file);
        if (!opened) {
            std::fprintf(stderr, "error: %s\n", opened.error().what.c_str());
            std::exit(1);
        }
        bench = std::move(*opened);
    }
    return *bench;
}

Result<std::unique_ptr<AgentBench>> AgentBench::open() {
    std::unique_ptr<AgentBench> bench(new AgentBench(
        SLC_TRY(kernel::BpfObject::open(kernel::ObjectName::agent, instruction_set()), "agent")));
    kernel::BpfObject& object = bench->object_;
    const plan::Image image = plan::compile_agent(vips(), peers(), kDecapGuePort, 0x5eed);
    const kernel::Layout layout = kernel::lay_out(image, {});
    SLC_CHECK(kernel::size_tables(object, image, {}), "agent");
    SLC_CHECK(
        object.set_max_entries("slc_reason_counters",
                               static_cast<std::uint32_t>(Reason::COUNT) * SLC_FAMPROTO_COUNT),
        "agent");
    SLC_CHECK(object.set_node(&layout.node, sizeof layout.node), "agent");
    SLC_CHECK(object.load(), "agent");
    SLC_CHECK(kernel::fill_tables(object, image, layout), "agent");
    return bench;
}

std::vector<IpPrefix> AgentBench::vips() {
    return {*IpPrefix::parse("192.0.2.10"), *IpPrefix::parse("192.0.2.128/25"),
            *IpPrefix::parse("2001:db8:a::10")};
}

std::vector<IpPrefix> AgentBench::peers() {
    return {*IpPrefix::parse("10.255.0.0/24"), *IpPrefix::parse("fd00:ff::/64")};
}

PinnedProgram::PinnedProgram(int fd) {
    char name[] = "/tmp/sluice_packet_XXXXXX";
    const auto step = [&](bool good, const char* what) {
        if (!good) missing_ = sys_error(errno, what).what;
        return good;
    };
    if (!step(::unshare(CLONE_NEWNS) == 0, "unshare")) return;
    if (!step(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private")) return;
    if (!step(::mkdtemp(name) != nullptr, "mkdtemp")) return;
    directory_ = name;
    mounted_ = step(::mount("bpf", name, "bpf", 0, nullptr) == 0, "mount bpffs");
    if (mounted_) step(::bpf_obj_pin(fd, path().c_str()) == 0, "pin");
}

PinnedProgram::~PinnedProgram() {
    if (mounted_) ::umount2(directory_.c_str(), MNT_DETACH);
    if (!directory_.empty()) ::rmdir(directory_.c_str());
}

kernel::InstructionSet instruction_set() {
    const char* forced = std::getenv("SLUICE_TEST_ISA");
    if (forced != nullptr && std::string(forced) == "v3") return kernel::InstructionSet::v3;
    const auto found = kernel::probe_instruction_set();
    return found ? *found : kernel::InstructionSet::v3;
}

}  // namespace sluice::packet
