// SPDX-License-Identifier: Apache-2.0
#include "health/checker.h"

#include <fmt/format.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <ctime>
#include <iterator>
#include <unordered_set>
#include <utility>

namespace sluice::health {
namespace {

/// Which file this is, and when it was written; of none, that.
std::string file_state(const std::string& path) {
    struct stat state{};
    if (path.empty() || ::stat(path.c_str(), &state) != 0) return path + "|-|";
    return fmt::format("{}|{}.{}.{}.{}|", path, state.st_ino, state.st_size, state.st_mtim.tv_sec,
                       state.st_mtim.tv_nsec);
}

bool wants_tls(const config::Check& check) {
    return check.type == config::CheckType::https ||
           (check.type == config::CheckType::grpc && check.tls.enabled);
}

}  // namespace

Result<std::unique_ptr<Checker>> Checker::start(Limits limits, Wake wake) {
    auto thread = SLC_TRY(ReactorThread::start("slc-health"), "health checks");
    return std::unique_ptr<Checker>(new Checker(std::move(thread), limits, std::move(wake)));
}

Checker::Checker(std::unique_ptr<ReactorThread> thread, Limits limits, Wake wake)
    : wake_(std::move(wake)), most_outcomes_(limits.outcomes), thread_(std::move(thread)) {
    std::uint64_t seed = 0;
    ::RAND_bytes(reinterpret_cast<unsigned char*>(&seed), sizeof(seed));
    thread_->call([&] {
        Reactor& reactor = thread_->reactor();
        rest_ = std::make_unique<Timer>(reactor, [this] { flush(); });
        schedule_ = std::make_unique<Schedule>(
            reactor, limits, seed,
            [this](Outcome outcome, bool is_news) { on_outcome(std::move(outcome), is_news); });
    });
}

Checker::~Checker() {
    thread_->call([this] {
        errors_.reset();
        schedule_.reset();
        rest_.reset();
    });
}

std::shared_ptr<const Tls> Checker::tls_of(const Target& target) {
    const config::CheckTls& settings = target.check->tls;
    const std::string protocol = target.check->type == config::CheckType::grpc ? "h2" : "http/1.1";
    // The name is the session's; everything else is one context for all who have it in common.
    std::string key = fmt::format("{}|{}|", protocol, settings.verify);
    for (const auto& file : {settings.ca_file, settings.certificate_file, settings.key_file})
        key += file_state(file);
    if (settings.ca_file.empty())
        key +=
            file_state(::X509_get_default_cert_file()) + file_state(::X509_get_default_cert_dir());
    std::weak_ptr<const Tls>& known = tls_[key];
    if (auto shared = known.lock()) return shared;
    auto loaded = Tls::load(settings, protocol);
    auto made = loaded ? std::move(loaded).value() : Tls::broken(printable(loaded.error().what));
    known = made;
    return made;
}

void Checker::set(std::vector<Target> targets) {
    std::vector<Prepared> prepared;
    prepared.reserve(targets.size());
    for (Target& target : targets) {
        auto tls = wants_tls(*target.check) ? tls_of(target) : nullptr;
        prepared.push_back({.target = std::move(target), .tls = std::move(tls)});
    }
    thread_->call([&] {
        const auto ended = schedule_->set(std::move(prepared));
        flush();
        const std::unordered_set<std::string> gone(ended.begin(), ended.end());
        const std::lock_guard lock(mutex_);
        std::erase_if(outcomes_, [&](const Outcome& each) { return gone.contains(each.key); });
    });
    std::erase_if(tls_, [](const auto& each) { return each.second.expired(); });
}

void Checker::check_now(std::string key) {
    thread_->reactor().post([this, key = std::move(key)] {
        if (schedule_ != nullptr) schedule_->check_now(key);
    });
}

Result<void> Checker::hear_errors(std::uint16_t gue_port) {
    Result<void> out;
    thread_->call([&] {
        auto opened =
            IcmpErrors::open(thread_->reactor(), gue_port,
                             [this](const IpAddress& backend) { schedule_->suspect(backend); });
        if (opened)
            errors_ = std::move(*opened);
        else
            out = fail(std::move(opened).error().in("health checks"));
    });
    return out;
}

void Checker::on_outcome(Outcome outcome, bool is_news) {
    resting_.push_back(std::move(outcome));
    if (is_news) return flush();
    if (!rest_->is_set()) rest_->set_in(kLongestRest);
}

void Checker::flush() {
    rest_->stop();
    if (resting_.empty()) return;
    bool was_empty = false;
    {
        const std::lock_guard lock(mutex_);
        was_empty = outcomes_.empty();
        outcomes_.insert(outcomes_.end(), std::make_move_iterator(resting_.begin()),
                         std::make_move_iterator(resting_.end()));
        if (outcomes_.size() > most_outcomes_) {
            // Half of them at once: a queue that nobody empties costs little.
            const std::size_t most = outcomes_.size() - most_outcomes_ / 2;
            outcomes_.erase(outcomes_.begin(),
                            outcomes_.begin() + static_cast<std::ptrdiff_t>(most));
            lost_ += most;
        }
    }
    resting_.clear();
    if (was_empty) wake_();
}

std::vector<Outcome> Checker::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(outcomes_, {});
}

Figures Checker::figures() {
    Figures out;
    thread_->call([&] {
        out = schedule_->figures();
        if (errors_ != nullptr) out.errors = errors_->counts();
        timespec cpu{};
        if (::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu) == 0)
            out.cpu =
                std::chrono::seconds(cpu.tv_sec) + std::chrono::microseconds(cpu.tv_nsec / 1000);
    });
    const std::lock_guard lock(mutex_);
    out.lost_outcomes = lost_;
    return out;
}

}  // namespace sluice::health
