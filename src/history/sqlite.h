// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The little of SQLite's C interface that the history needs, with owners and Results. Used inside
/// history/ only. Nothing here outlives the Database that it was made from.

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::history {

/// An open database file.
class Connection {
 public:
    /// Makes the file, mode 0640, if there is none: it may hold secrets.
    static Result<Connection> open(const std::string& path);

    /// One or more statements that return nothing.
    Result<void> run(const char* sql);
    /// The only value of a statement that has one.
    [[nodiscard]] Result<std::int64_t> number(const char* sql) const;
    /// An error of the last call. Errc: invalid for what is no database or a damaged one, denied,
    /// limit for a full disk, conflict when another process holds it for too long.
    [[nodiscard]] Error error() const;
    [[nodiscard]] Error not_ours(std::string_view why) const;

    [[nodiscard]] sqlite3* handle() const { return handle_.get(); }
    [[nodiscard]] const std::string& path() const { return path_; }

 private:
    struct Close {
        void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
    };

    std::unique_ptr<sqlite3, Close> handle_;
    std::string path_;
};

/// A prepared statement. Parameters are bound in order, columns are read by index.
class Statement {
 public:
    static Result<Statement> prepare(const Connection& connection, const char* sql);

    /// Of a text only a view is kept: it must live until the last step().
    Statement& bind(std::string_view text);
    Statement& bind(std::int64_t number);
    Statement& bind(std::optional<std::int64_t> number);

    /// Whether there is a row.
    Result<bool> step();
    /// For statements without rows: how many they changed.
    Result<std::int64_t> run();

    [[nodiscard]] std::string text(int column) const;
    [[nodiscard]] std::int64_t number(int column) const;
    [[nodiscard]] bool is_null(int column) const;

 private:
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
    };

    const Connection* connection_ = nullptr;
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
    int bound_ = 0;
    int failed_ = SQLITE_OK;  ///< Of a bind: told by the next step.
};

/// All or nothing: undone unless it was committed.
class Transaction {
 public:
    static Result<Transaction> begin(Connection& connection);
    Transaction(Transaction&& other) noexcept : connection_(other.connection_) {
        other.connection_ = nullptr;
    }
    Transaction& operator=(Transaction&&) = delete;
    ~Transaction();

    /// Durable when it returns.
    Result<void> commit();

 private:
    explicit Transaction(Connection& connection) : connection_(&connection) {}

    Connection* connection_;
};

}  // namespace sluice::history
