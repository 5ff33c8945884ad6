#include "base/status.h"

#include <cstdio>

namespace lodestone {

const char* ToString(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return "invalid";
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kIo:
      return "input/output";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kInfeasible:
      return "infeasible";
    case ErrorCode::kBusy:
      return "busy";
  }
  return "unknown";
}

void CheckFailed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "lodestone: internal error at %s:%d: check failed: %s\n", file, line, expression);
  std::abort();
}

}  // namespace lodestone
