// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/announce/fake_bird.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <sstream>

namespace sluice::announce {

using namespace std::chrono_literals;

FakeBird::FakeBird(Reactor& reactor, std::string folder)
    : reactor_(reactor),
      folder_(std::move(folder)),
      listener_watch_(reactor, [this](std::uint32_t) { accept(); }),
      watch_(reactor, [this](std::uint32_t) { read(); }),
      piece_timer_(reactor, [this] {
          const std::string some = output_.substr(0, piece);
          output_.erase(0, some.size());
          (void)::send(fd_.get(), some.data(), some.size(), MSG_NOSIGNAL);
          if (!output_.empty()) piece_timer_.set_in(0ns);
      }) {}

FakeBird::~FakeBird() {
    ::unlink(socket().c_str());
}

void FakeBird::start() {
    load();
    ::unlink(socket().c_str());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    ASSERT_LT(socket().size(), sizeof address.sun_path);
    std::memcpy(address.sun_path, socket().data(), socket().size());
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener_.get(), 5), 0);
    ASSERT_TRUE(listener_watch_.set(listener_.get(), EPOLLIN).has_value());
}

void FakeBird::stop() {
    hang_up();
    listener_watch_.stop();
    listener_.reset();
    protocols_.clear();
}

void FakeBird::hang_up() {
    piece_timer_.stop();
    watch_.stop();
    fd_.reset();
    input_.clear();
    output_.clear();
}

void FakeBird::accept() {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) return;
    hang_up();
    ++connections_;
    fd_ = std::move(fd);
    ASSERT_TRUE(watch_.set(fd_.get(), EPOLLIN).has_value());
    if (!greeting.empty()) say(greeting);
}

void FakeBird::read() {
    std::array<char, 4096> buffer;
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) return hang_up();
    input_.append(buffer.data(), static_cast<std::size_t>(got));
    for (std::size_t end = input_.find('\n'); end != std::string::npos; end = input_.find('\n')) {
        const std::string command = input_.substr(0, end);
        input_.erase(0, end + 1);
        answer(command);
    }
}

void FakeBird::answer(const std::string& command) {
    commands_.push_back(command);
    // The longest beginning decides.
    for (auto at = answers_.rbegin(); at != answers_.rend(); ++at) {
        const auto& [begin, text] = *at;
        if (command.rfind(begin, 0) != 0) continue;
        if (text == "hang up") return hang_up();
        if (!text.empty()) say(text);
        return;
    }
    say(proper_answer(command));
}

void FakeBird::say(const std::string& text) {
    if (piece == 0) {
        (void)::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
        return;
    }
    output_ += text;
    if (!piece_timer_.is_set()) piece_timer_.set_in(0ns);
}

std::string FakeBird::proper_answer(const std::string& command) {
    if (command.rfind("enable ", 0) == 0) return toggle(command, true);
    if (command.rfind("disable ", 0) == 0) return toggle(command, false);
    if (command.rfind("show protocols", 0) == 0) return show_protocols();
    if (command.rfind("show route", 0) == 0) return show_routes();
    if (command.rfind("configure", 0) != 0) return "9001 syntax error\n";
    if (!broken.empty()) return "0002-Reading configuration\n8002 " + broken + "\n";
    if (command == "configure check") return "0002-Reading configuration\n0020 Configuration OK\n";
    load();
    return "0002-Reading configuration\n0003 Reconfigured\n";
}

std::string FakeBird::toggle(const std::string& command, bool up) {
    const std::size_t quote = command.find('"') + 1;
    const std::string name = command.substr(quote, command.rfind('"') - quote);
    const auto at = protocols_.find(name);
    if (at == protocols_.end()) return "8003 No protocols match\n";
    at->second.is_up = up;
    return (up ? "0011-" : "0009-") + name + (up ? ": enabled" : ": disabled") + "\n0000 \n";
}

std::string FakeBird::show_protocols() const {
    if (protocols_.empty()) return "8003 No protocols match\n";
    std::string out = "2002-Name Proto Table State Since Info\n1002-";
    for (const auto& [name, protocol] : protocols_)
        out += name + " Static     master4    " + (protocol.is_up ? "up" : "down") + " 03:02\n ";
    out.pop_back();
    return out + "0000 \n";
}

std::string FakeBird::show_routes() const {
    std::string out;
    for (const auto& [name, protocol] : protocols_)
        if (protocol.is_up && has_routes)
            out += "1007-192.0.2.1/32 blackhole [" + name + " 03:02:22.040] * (200)\n";
    return out + "0000 \n";
}

/// `protocol static NAME { disabled; ... bgp_community.add((65535,0)) ... }`
void FakeBird::load() {
    protocols_.clear();
    if (!is_included) return;
    std::ifstream file(include());
    std::string line;
    while (std::getline(file, line)) {
        std::istringstream words(line);
        std::string protocol;
        std::string kind;
        std::string name;
        if (!(words >> protocol >> kind >> name) || protocol != "protocol") continue;
        protocols_[name] = {line.find("{ disabled;") == std::string::npos,
                            line.find("65535,0") != std::string::npos};
    }
}

std::vector<std::string> FakeBird::up() const {
    std::vector<std::string> out;
    for (const auto& [name, protocol] : protocols_)
        if (protocol.is_up) out.push_back(name + (protocol.drains ? "!" : ""));
    return out;
}

}  // namespace sluice::announce
