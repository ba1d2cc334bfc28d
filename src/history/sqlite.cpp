// SPDX-License-Identifier: Apache-2.0
#include "history/sqlite.h"

#include <fcntl.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace sluice::history {
namespace {

constexpr int kBusyTimeoutMs = 5000;

Errc code_of_errno(int saved) {
    if (saved == EACCES || saved == EPERM || saved == EROFS) return Errc::denied;
    if (saved == ENOSPC || saved == EDQUOT || saved == EMFILE || saved == ENFILE)
        return Errc::limit;
    if (saved == ENOENT) return Errc::not_found;
    return Errc::system;
}

Errc code_of(int result, int saved_errno) {
    switch (result & 0xff) {
        case SQLITE_NOTADB:
        case SQLITE_CORRUPT:
        case SQLITE_ERROR:  // Our statements are right: the tables are not ours, or not whole.
            return Errc::invalid;
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_AUTH:
            return Errc::denied;
        case SQLITE_FULL:
        case SQLITE_NOMEM:
        case SQLITE_TOOBIG:
            return Errc::limit;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return Errc::conflict;
        default:
            return code_of_errno(saved_errno);
    }
}

const char* hint_of(Errc code) {
    switch (code) {
        case Errc::invalid:
            return "move the file away: a new history begins, and what runs is not touched";
        case Errc::denied:
            return "sluiced must be able to write this file and the directory that it is in";
        case Errc::limit:
            return "free some space there; nothing was changed";
        case Errc::conflict:
            return "another program holds it: end that one";
        default:
            return "";
    }
}

/// SQLite would make it readable to everybody. An existing file is never opened here: closing it
/// would drop the locks of every connection of this process.
Result<void> make_file(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
    const int saved = errno;
    if (fd.valid() || saved == EEXIST) return {};
    Error error = sys_error(saved, "history " + path);
    error.code = code_of_errno(saved);
    return fail(std::move(error).advise(hint_of(error.code)));
}

}  // namespace

Result<Connection> Connection::open(const std::string& path) {
    if (auto made = make_file(path); !made) return fail(std::move(made).error());
    Connection out;
    out.path_ = path;
    sqlite3* handle = nullptr;
    const int result = sqlite3_open_v2(path.c_str(), &handle,
                                       SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    out.handle_.reset(handle);
    if (handle == nullptr) return fail(Errc::limit, "history " + path + ": out of memory");
    if (result != SQLITE_OK) return fail(out.error());
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_busy_timeout(handle, kBusyTimeoutMs);
    if (sqlite3_db_readonly(handle, "main") == 1)
        return fail(Errc::denied, "history " + path + ": it cannot be written",
                    hint_of(Errc::denied));
    return out;
}

Error Connection::error() const {
    const int result = sqlite3_extended_errcode(handle_.get());
    const int saved = sqlite3_system_errno(handle_.get());
    Error out;
    out.code = code_of(result, saved);
    out.sys = saved;
    out.what = "history " + path_ + ": " + sqlite3_errmsg(handle_.get());
    // "disk I/O error" and "unable to open database file" are all that SQLite says by itself.
    const int kind = result & 0xff;
    if (saved != 0 && (kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN))
        out.what += ": " + sys_error(saved, "").what.substr(2);
    out.hint = hint_of(out.code);
    return out;
}

Error Connection::not_ours(std::string_view why) const {
    return make_error(Errc::invalid, "history " + path_ + ": " + std::string(why),
                      hint_of(Errc::invalid));
}

Result<void> Connection::run(const char* sql) {
    if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK)
        return fail(error());
    return {};
}

Result<std::int64_t> Connection::number(const char* sql) const {
    auto statement = Statement::prepare(*this, sql);
    if (!statement) return fail(std::move(statement).error());
    const auto row = statement->step();
    if (!row) return fail(row.error());
    if (!*row) return fail(Errc::internal, "history " + path_ + ": no answer to " + sql);
    return statement->number(0);
}

Result<Statement> Statement::prepare(const Connection& connection, const char* sql) {
    Statement out;
    out.connection_ = &connection;
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(connection.handle(), sql, -1, &statement, nullptr) != SQLITE_OK)
        return fail(connection.error());
    out.statement_.reset(statement);
    return out;
}

Statement& Statement::bind(std::string_view text) {
    // A null pointer would be NULL, not the empty text.
    const char* data = text.empty() ? "" : text.data();
    const int result = sqlite3_bind_text64(statement_.get(), ++bound_, data, text.size(),
                                           SQLITE_STATIC, SQLITE_UTF8);
    if (result != SQLITE_OK) failed_ = result;
    return *this;
}

Statement& Statement::bind(std::int64_t number) {
    const int result = sqlite3_bind_int64(statement_.get(), ++bound_, number);
    if (result != SQLITE_OK) failed_ = result;
    return *this;
}

Statement& Statement::bind(std::optional<std::int64_t> number) {
    if (number) return bind(*number);
    ++bound_;  // What is not bound is NULL.
    return *this;
}

Result<bool> Statement::step() {
    if (failed_ != SQLITE_OK) return fail(connection_->error());
    const int result = sqlite3_step(statement_.get());
    if (result == SQLITE_ROW) return true;
    if (result == SQLITE_DONE) return false;
    return fail(connection_->error());
}

Result<std::int64_t> Statement::run() {
    const auto row = step();
    if (!row) return fail(row.error());
    return sqlite3_changes64(connection_->handle());
}

std::string Statement::text(int column) const {
    const auto* data = sqlite3_column_text(statement_.get(), column);
    if (data == nullptr) return {};
    return {reinterpret_cast<const char*>(data),
            static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::int64_t Statement::number(int column) const {
    return sqlite3_column_int64(statement_.get(), column);
}

bool Statement::is_null(int column) const {
    return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

Result<Transaction> Transaction::begin(Connection& connection) {
    if (auto begun = connection.run("BEGIN IMMEDIATE"); !begun)
        return fail(std::move(begun).error());
    return Transaction(connection);
}

Transaction::~Transaction() {
    if (connection_ == nullptr || sqlite3_get_autocommit(connection_->handle()) != 0) return;
    sqlite3_exec(connection_->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

Result<void> Transaction::commit() {
    return connection_->run("COMMIT");
}

}  // namespace sluice::history
