#include "appliance/c/answer.h"

namespace lodestone {
namespace {

lodestone_result CodeOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return LODESTONE_INVALID;
    case ErrorCode::kNotFound:
      return LODESTONE_NOT_FOUND;
    case ErrorCode::kIo:
      return LODESTONE_IO;
    case ErrorCode::kUnsupported:
      return LODESTONE_UNSUPPORTED;
    case ErrorCode::kInfeasible:
      return LODESTONE_INFEASIBLE;
    case ErrorCode::kBusy:
      return LODESTONE_BUSY;
  }
  return LODESTONE_INTERNAL;
}

struct Latest {
  std::string text;
  const char* message = "";  // `text`, or a literal
};

Latest& OfThisThread() {
  thread_local Latest latest;
  return latest;
}

}  // namespace

Answer::Answer(Error error) : result(CodeOf(error.code)), message(std::move(error.message)) {}

Answer::Answer(Status other) {
  if (!other.ok()) *this = Answer(other.error());
}

void SetErrorMessage(std::string message) noexcept {
  Latest& latest = OfThisThread();
  latest.text = std::move(message);
  latest.message = latest.text.c_str();
}

void SetFault(const char* what) noexcept {
  try {
    SetErrorMessage(what);
  } catch (...) {
    OfThisThread().message = "out of memory";
  }
}

const char* ErrorMessage() noexcept { return OfThisThread().message; }

}  // namespace lodestone
