// The one error type of the project, and the two ways to return it.
//
// Policy: a fault of the user's input (file, key, number, command line) is a `Status` or a `Result<T>`; a fault of our
// own code is an assertion (`LODESTONE_CHECK`). The library never aborts on input and never throws across its
// interfaces. A message names the file, the key and the line where there is one, what was found, what was expected and
// what to do.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

namespace lodestone {

enum class ErrorCode {
  kInvalid,      // the input is malformed or inconsistent
  kNotFound,     // a file, name or key does not exist
  kIo,           // the operating system refused
  kUnsupported,  // well-formed, but this program does not do it
  kInfeasible,   // well-formed and supported, but it does not fit (memory, positions, cards)
  kBusy,         // try again after the next completion
};

const char* ToString(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInvalid;
  std::string message;  // one sentence or a few; no trailing newline
};

// Success or an `Error`.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return !error_.has_value(); }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

// A value or an `Error`. (clang 14 has no `std::expected`.)
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return value_.has_value(); }
  const Error& error() const { return error_; }
  Status status() const { return ok() ? Status() : Status(error_); }

  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Error error_;
};

inline Error Invalid(std::string message) { return {ErrorCode::kInvalid, std::move(message)}; }
inline Error NotFound(std::string message) { return {ErrorCode::kNotFound, std::move(message)}; }
inline Error IoError(std::string message) { return {ErrorCode::kIo, std::move(message)}; }
inline Error Unsupported(std::string message) { return {ErrorCode::kUnsupported, std::move(message)}; }
inline Error Infeasible(std::string message) { return {ErrorCode::kInfeasible, std::move(message)}; }

// Returns the error of `expr` from the enclosing function.
#define LODESTONE_RETURN_IF_ERROR(expr)                           \
  do {                                                            \
    if (auto lodestone_status = (expr); !lodestone_status.ok()) { \
      return lodestone_status.error();                            \
    }                                                             \
  } while (false)

#define LODESTONE_CONCAT_INNER(a, b) a##b
#define LODESTONE_CONCAT(a, b) LODESTONE_CONCAT_INNER(a, b)

// `LODESTONE_ASSIGN_OR_RETURN(auto x, F());` binds the value of a `Result` or returns its error.
#define LODESTONE_ASSIGN_OR_RETURN(declaration, expr) \
  LODESTONE_ASSIGN_OR_RETURN_INNER(LODESTONE_CONCAT(result_, __LINE__), declaration, expr)
#define LODESTONE_ASSIGN_OR_RETURN_INNER(result, declaration, expr) \
  auto result = (expr);                                             \
  if (!result.ok()) {                                               \
    return result.error();                                          \
  }                                                                 \
  declaration = *std::move(result)

// An invariant of our own code. Stays on in release builds: a wrong token is worse than a stop.
[[noreturn]] void CheckFailed(const char* expression, const char* file, int line);
#define LODESTONE_CHECK(expr) \
  (static_cast<bool>(expr) ? static_cast<void>(0) : ::lodestone::CheckFailed(#expr, __FILE__, __LINE__))

}  // namespace lodestone
