// SPDX-License-Identifier: Apache-2.0
#include "announce/bird_client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace sluice::announce {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kReady = 1, kConfigured = 3, kConfiguring = 4, kQueued = 5, kCheckedOk = 20,
                        kNoMatch = 8003;
constexpr auto kLookFirst = 5ms;
constexpr auto kRefusedFirst = 1000ms;

BirdClient::Clock::time_point now() {
    return BirdClient::Clock::now();
}

void grow(std::chrono::milliseconds& delay, std::chrono::milliseconds most) {
    delay = std::min(2 * delay, most);
}

Result<UniqueFd> connect_to(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fail(Errc::invalid, "connect to " + path + ": the path is too long for a socket");
    std::memcpy(address.sun_path, path.data(), path.size());
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "socket"));
    }
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return fd;
    const int saved = errno;
    if (saved == EAGAIN)
        return fail(Errc::unreachable, "connect to " + path + ": nobody takes connections there");
    return fail(sys_error(saved, "connect to " + path));
}

/// Whole or not at all, readable by BIRD, and not made durable: what a crash of the machine leaves
/// is written anew before it is announced, and waiting for a disk would delay withdrawals.
Result<void> replace_file(const std::string& path, std::string_view content) {
    const std::string temporary = path + ".new";
    const UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!fd.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "create " + temporary));
    }
    int failed = ::fchmod(fd.get(), 0644) == 0 ? 0 : errno;
    while (failed == 0 && !content.empty()) {
        const ssize_t written = ::write(fd.get(), content.data(), content.size());
        if (written >= 0) content.remove_prefix(static_cast<std::size_t>(written));
        if (written < 0 && errno != EINTR) failed = errno;
    }
    if (failed == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) failed = errno;
    if (failed == 0) return {};
    ::unlink(temporary.c_str());
    return fail(sys_error(failed, "write " + path));
}

}  // namespace

BirdClient::BirdClient(Reactor& reactor, config::AnnounceBird settings, BirdTimes times,
                       std::function<void()> changed)
    : settings_(std::move(settings)),
      times_(times),
      changed_(std::move(changed)),
      connect_retry_(times.retry_first),
      configure_retry_(kRefusedFirst),
      act_retry_(times.settle),
      look_retry_(kLookFirst),
      watch_(reactor, [this](std::uint32_t events) { on_event(events); }),
      timer_(reactor, [this] { on_timer(); }) {}

void BirdClient::start() {
    since_ = now();
    write_file();
    connect();
    plan_timer();
    changed_();
}

void BirdClient::want(const PrefixWishes& wishes) {
    // Only what differs costs more than a comparison: names of thousands take their time.
    const auto change = [this](const IpPrefix& prefix, std::optional<Wish> wish) {
        const std::string name = bird_protocol_name(prefix);
        if (wish)
            by_name_[name] = *wish;
        else
            by_name_.erase(name);
        confirmed_.erase(name);
        plan_one(name);
    };
    auto before = wishes_.begin();
    for (const auto& [prefix, wish] : wishes) {
        for (; before != wishes_.end() && before->first < prefix; ++before)
            change(before->first, std::nullopt);
        const bool is_there = before != wishes_.end() && before->first == prefix;
        if (!is_there || before->second != wish) change(prefix, wish);
        if (is_there) ++before;
    }
    for (; before != wishes_.end(); ++before) change(before->first, std::nullopt);
    wishes_ = wishes;
    is_file_written_ = is_all_as_wished_ = false;
    // What was tried in vain was for another wish.
    act_at_.reset();
    configure_at_.reset();
    settle_until_.reset();
    if (phase_ == Phase::ready) next();
    // While a command is under way the file follows with its answer.
    if (!is_up()) write_file();
    plan_timer();
    changed_();
}

// --- The connection ---

void BirdClient::connect() {
    connect_at_.reset();
    auto opened = connect_to(settings_.socket);
    is_absent_ = !opened && (opened.error().sys == ENOENT || opened.error().sys == ECONNREFUSED);
    if (!opened) return lose(opened.error().what);
    fd_ = std::move(*opened);
    phase_ = Phase::banner;
    command_ = "greeting";
    answer_until_ = now() + times_.answer;
    if (auto set = watch_.set(fd_.get(), EPOLLIN); !set) lose(set.error().what);
}

void BirdClient::lose(const std::string& why) {
    if (is_up()) {
        ++lost_;
        since_ = now();
    }
    watch_.stop();
    fd_.reset();
    phase_ = Phase::none;
    last_error_ = why;
    replies_ = {};
    unsent_.clear();
    known_.clear();
    routed_.clear();
    confirmed_.clear();
    is_looked_at_ = is_all_as_wished_ = is_configured_ = is_file_written_ = has_acted_ = false;
    refused_.clear();
    for (auto* at : {&answer_until_, &look_at_, &act_at_, &configure_at_, &settle_until_})
        at->reset();
    plan();
    write_file();
    connect_at_ = now() + connect_retry_;
    grow(connect_retry_, times_.retry_last);
}

void BirdClient::on_event(std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) write();
    if (fd_.valid() && (events & ~EPOLLOUT) != 0) read();
    plan_timer();
    changed_();
}

void BirdClient::on_timer() {
    const auto at = now();
    // What has come already counts, even if this thread was too late to see it.
    if (answer_until_ && *answer_until_ <= at) read();
    if (answer_until_ && *answer_until_ <= at)
        lose(fmt::format("BIRD does not answer ({})", command_));
    if (connect_at_ && *connect_at_ <= at) connect();
    if (act_at_ && *act_at_ <= at) {
        act_at_.reset();
        is_configured_ = false;  // Everything again.
    }
    if (configure_at_ && *configure_at_ <= at) configure_at_.reset();
    if (phase_ == Phase::ready) next();
    plan_timer();
    changed_();
}

void BirdClient::plan_timer() {
    auto first = Clock::time_point::max();
    for (const auto& at : {answer_until_, connect_at_, act_at_, configure_at_})
        if (at) first = std::min(first, *at);
    if (phase_ == Phase::ready && look_at_) first = std::min(first, *look_at_);
    if (first == Clock::time_point::max()) {
        timer_.stop();
    } else {
        timer_.set_at(first);
    }
}

void BirdClient::read() {
    std::array<char, 65536> buffer;
    // A few at once: a long answer must not keep others on this thread waiting.
    for (int i = 0; i < 4 && fd_.valid(); ++i) {
        const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        const int saved = errno;
        if (got < 0 && (saved == EAGAIN || saved == EINTR)) return;
        if (got < 0) return lose(sys_error(saved, "read from BIRD").what);
        if (got == 0) return lose("BIRD closed the connection");
        replies_.add({buffer.data(), static_cast<std::size_t>(got)});
        while (fd_.valid()) {
            const auto reply = replies_.next();
            if (!reply) break;
            take(*reply);
        }
        if (!replies_.problem().empty()) return lose("BIRD sent " + replies_.problem());
    }
}

void BirdClient::send(Phase phase, std::string command, std::chrono::milliseconds limit) {
    phase_ = phase;
    unsent_ = command + "\n";
    command_ = std::move(command);
    answer_until_ = now() + limit;
    write();
}

void BirdClient::write() {
    while (!unsent_.empty()) {
        const ssize_t sent =
            ::send(fd_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        const int saved = errno;
        if (sent < 0 && saved == EINTR) continue;
        if (sent < 0 && saved == EAGAIN) break;
        if (sent < 0) return lose(sys_error(saved, "write to BIRD").what);
        unsent_.erase(0, static_cast<std::size_t>(sent));
    }
    const std::uint32_t events = EPOLLIN | (unsent_.empty() ? 0U : std::uint32_t{EPOLLOUT});
    if (auto set = watch_.set(fd_.get(), events); !set) lose(set.error().what);
}

// --- Answers ---

void BirdClient::take(const BirdReply& reply) {
    answer_until_.reset();
    switch (phase_) {
        case Phase::banner:
            return take_banner(reply);
        case Phase::toggle:
            return take_toggle(reply);
        case Phase::check:
            return take_check(reply);
        case Phase::configure:
            return take_configured(reply);
        case Phase::protocols:
            return take_protocols(reply);
        case Phase::routes:
            return take_routes(reply);
        case Phase::ready:
        case Phase::none:
            return lose("BIRD answered what nobody asked: " + reply.text());
    }
}

void BirdClient::take_banner(const BirdReply& reply) {
    if (reply.code() != kReady || reply.lines.back().text.rfind("BIRD ", 0) != 0)
        return lose("this does not greet like BIRD: " + reply.text());
    phase_ = Phase::ready;
    since_ = now();
    look();
}

void BirdClient::take_toggle(const BirdReply& reply) {
    phase_ = Phase::ready;
    if (reply.is_error()) {
        // It is not there any more, or nobody lets us: the look tells which.
        known_.erase(toggled_);
        last_error_ = fmt::format("BIRD refuses \"{}\": {}", command_, reply.text());
    } else {
        known_[toggled_].is_up = !toggled_down_;
    }
    plan_one(toggled_);
    look_soon();
    next();
}

void BirdClient::take_check(const BirdReply& reply) {
    if (reply.is_error()) return refuse(reply.text());
    if (reply.code() != kCheckedOk) return lose("an odd answer to a check: " + reply.text());
    send(Phase::configure, "configure", times_.configure);
}

void BirdClient::take_configured(const BirdReply& reply) {
    if (reply.is_error()) return refuse(reply.text());
    if (reply.code() != kConfigured && reply.code() != kConfiguring && reply.code() != kQueued)
        return refuse(reply.text());
    phase_ = Phase::ready;
    known_.clear();
    for (const auto& [prefix, wish] : configured_)
        known_[bird_protocol_name(prefix)] = {wish != Wish::withdraw, wish == Wish::drain};
    is_configured_ = true;
    refused_.clear();
    configure_retry_ = kRefusedFirst;
    plan();
    look_soon();
    next();
}

void BirdClient::refuse(const std::string& why) {
    phase_ = Phase::ready;
    refused_ = why;
    last_error_ = "BIRD refuses its configuration: " + why;
    configure_at_ = now() + configure_retry_;
    grow(configure_retry_, times_.retry_last);
    plan();
    next();
}

void BirdClient::take_protocols(const BirdReply& reply) {
    if (reply.is_error() && reply.code() != kNoMatch)
        return lose("BIRD does not show its protocols: " + reply.text());
    std::map<std::string, Known> seen;
    for (const BirdProtocol& protocol : bird_protocols(reply)) {
        const auto before = known_.find(protocol.name);
        seen[protocol.name] = {protocol.state == "up",
                               before == known_.end() ? std::nullopt : before->second.draining};
    }
    known_ = std::move(seen);
    is_looked_at_ = true;
    send(Phase::routes, "show route where proto ~ \"sluice?_*\"", times_.answer);
}

void BirdClient::take_routes(const BirdReply& reply) {
    if (reply.is_error()) return lose("BIRD does not show its routes: " + reply.text());
    phase_ = Phase::ready;
    routed_.clear();
    for (std::string& name : bird_route_owners(reply)) routed_.insert(std::move(name));
    confirm();
    plan();
    next();
}

// --- What to do next ---

bool BirdClient::is_as_wished(const std::string& name, Wish wish) const {
    const auto known = known_.find(name);
    const bool is_up = known != known_.end() && known->second.is_up;
    if (wish == Wish::withdraw) return !is_up && !routed_.contains(name);
    return is_up && routed_.contains(name) && known->second.draining == (wish == Wish::drain);
}

std::string BirdClient::difference(const std::string& name, Wish wish) const {
    const auto known = known_.find(name);
    if (wish == Wish::withdraw) return fmt::format("BIRD keeps {} up", name);
    if (known == known_.end())
        return fmt::format("BIRD has no protocol {}: does bird.conf include {}?", name,
                           settings_.include);
    if (!known->second.is_up) return fmt::format("BIRD's protocol {} is down", name);
    return fmt::format("BIRD's protocol {} has no route", name);
}

void BirdClient::confirm() {
    confirmed_.clear();
    std::string first_difference;
    for (const auto& [name, wish] : by_name_) {
        if (is_as_wished(name, wish)) {
            confirmed_.insert(name);
        } else if (first_difference.empty()) {
            first_difference = difference(name, wish);
        }
    }
    const bool is_stray = std::any_of(known_.begin(), known_.end(), [this](const auto& known) {
        return known.second.is_up && !by_name_.contains(known.first);
    });
    is_all_as_wished_ = first_difference.empty() && !is_stray;
    if (is_all_as_wished_) {
        has_acted_ = false;
        settle_until_.reset();
        act_at_.reset();
        act_retry_ = times_.settle;
        look_retry_ = kLookFirst;
        look_at_ = now() + times_.verify;
        connect_retry_ = times_.retry_first;
        if (refused_.empty() && file_error_.empty()) last_error_.clear();
        return;
    }
    look_at_ = now() + look_retry_;
    grow(look_retry_, times_.verify);
    if (!has_acted_) return;
    // It takes a moment; when that is over, everything is said again, ever more rarely.
    if (!settle_until_) settle_until_ = now() + times_.settle;
    if (*settle_until_ <= now() && !first_difference.empty() && refused_.empty())
        last_error_ = first_difference;
    if (act_at_) return;
    act_at_ = now() + act_retry_;
    grow(act_retry_, times_.act_last);
}

void BirdClient::plan() {
    off_.clear();
    on_.clear();
    load_.clear();
    for (const auto& [name, known] : known_) plan_one(name);
    for (const auto& [name, wish] : by_name_)
        if (!known_.contains(name)) plan_one(name);
}

void BirdClient::plan_one(const std::string& name) {
    const auto known = known_.find(name);
    const auto wish = by_name_.find(name);
    const bool is_known = known != known_.end();
    const bool is_up = is_known && known->second.is_up;
    const bool should = wish != by_name_.end() && wish->second != Wish::withdraw;
    const bool fits = should && is_known && known->second.draining == (wish->second == Wish::drain);
    const auto put = [&name](std::set<std::string>& names, bool belongs) {
        if (belongs)
            names.insert(name);
        else
            names.erase(name);
    };
    put(off_, is_up && !should);
    put(on_, fits && !is_up);
    put(load_, should && !fits);
}

void BirdClient::next() {
    if (!is_looked_at_) return look();
    if (!act_at_ && act()) return;
    if (!is_file_written_) write_file();
    if (look_at_ && *look_at_ <= now()) look();
}

/// True: a command is under way.
bool BirdClient::act() {
    const bool is_many = off_.size() + on_.size() > kSwitchesAtOnce;
    const bool may_configure = !configure_at_;
    if (!off_.empty() && !(is_many && may_configure)) return toggle(*off_.begin(), true);
    if (may_configure && (is_many || !load_.empty() || !is_configured_) && configure()) return true;
    if (!off_.empty()) return toggle(*off_.begin(), true);
    if (!on_.empty()) return toggle(*on_.begin(), false);
    return false;
}

bool BirdClient::toggle(const std::string& name, bool down) {
    has_acted_ = true;
    toggled_ = name;
    toggled_down_ = down;
    send(Phase::toggle, fmt::format("{} \"{}\"", down ? "disable" : "enable", name), times_.answer);
    // While BIRD does it.
    if (fd_.valid() && !is_file_written_) write_file();
    return true;
}

bool BirdClient::configure() {
    has_acted_ = true;
    if (!write_file()) {
        configure_at_ = now() + configure_retry_;
        grow(configure_retry_, times_.retry_last);
        return false;
    }
    configured_ = wishes_;
    send(Phase::check, "configure check", times_.configure);
    return true;
}

void BirdClient::look() {
    look_at_.reset();
    send(Phase::protocols, "show protocols \"sluice?_*\"", times_.answer);
}

void BirdClient::look_soon() {
    look_retry_ = kLookFirst;
    look_at_ = now();
}

bool BirdClient::write_file() {
    auto written = replace_file(settings_.include, bird_file(wishes_));
    is_file_written_ = written.has_value();
    file_error_ = written ? "" : written.error().what;
    if (!written) last_error_ = file_error_;
    return is_file_written_;
}

PrefixReport BirdClient::report(const IpPrefix& prefix) const {
    const std::string name = bird_protocol_name(prefix);
    const auto at = by_name_.find(name);
    const Wish wish = at == by_name_.end() ? Wish::withdraw : at->second;
    if (!is_up()) {
        if (last_error_.empty()) return {PrefixState::wanted, "BIRD has not answered yet"};
        return {PrefixState::failing, last_error_};
    }
    if (confirmed_.contains(name)) {
        if (wish == Wish::withdraw) return {PrefixState::withdrawn};
        return {wish == Wish::drain ? PrefixState::draining : PrefixState::announced};
    }
    if (at == by_name_.end()) {
        const bool is_gone = is_looked_at_ && is_as_wished(name, wish);
        return {is_gone ? PrefixState::withdrawn : PrefixState::wanted};
    }
    if (load_.contains(name) && !file_error_.empty()) return {PrefixState::failing, file_error_};
    if (load_.contains(name) && !refused_.empty())
        return {PrefixState::failing, "BIRD refuses its configuration: " + refused_};
    if (settle_until_ && *settle_until_ <= now())
        return {PrefixState::failing, difference(name, wish)};
    return {PrefixState::wanted};
}

}  // namespace sluice::announce
