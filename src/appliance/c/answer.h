// How a call of the C interface ends: a result and, where it is refused, why. Nothing that is thrown gets out.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "appliance/lodestone.h"
#include "base/status.h"

namespace lodestone {

struct Answer {
  Answer() = default;
  Answer(lodestone_result code, std::string why) : result(code), message(std::move(why)) {}
  Answer(Error error);   // NOLINT(google-explicit-constructor)
  Answer(Status other);  // NOLINT(google-explicit-constructor)

  lodestone_result result = LODESTONE_OK;
  std::string message;
};

// Of this thread; what lodestone_error_message returns.
void SetErrorMessage(std::string message) noexcept;
void SetFault(const char* what) noexcept;  // without memory, if there is none
const char* ErrorMessage() noexcept;

// Every call that can be refused runs in here.
template <typename Body>
lodestone_result Call(const Body& body) noexcept {
  try {
    Answer answer = body();
    if (answer.result != LODESTONE_OK) SetErrorMessage(std::move(answer.message));
    return answer.result;
  } catch (const std::bad_alloc&) {
    SetFault("out of memory");
    return LODESTONE_NO_MEMORY;
  } catch (const std::exception& fault) {
    SetFault(fault.what());
    return LODESTONE_INTERNAL;
  } catch (...) {
    SetFault("a fault without a description");
    return LODESTONE_INTERNAL;
  }
}

}  // namespace lodestone
