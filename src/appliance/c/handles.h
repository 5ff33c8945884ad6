// Names for objects that a caller holds across a C interface, where nothing else tells an open one from a closed one.
//
// A handle looks like a pointer and is none: its high half says that it is a handle, its low half counts and never
// repeats. So a handle that was closed, one of another kind, and an address of anything are all told apart, without
// looking at what they point to.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <variant>

#include "base/status.h"

namespace lodestone {

template <typename... Kinds>
class Handles {
 public:
  // Any thread may call; an object lives until its handle is removed and the last caller who found it lets go.
  template <typename Kind>
  uint64_t Add(std::shared_ptr<Kind> object) {
    const std::lock_guard lock(mutex_);
    const uint64_t handle = kFirst + next_++;
    objects_.emplace(handle, std::move(object));
    return handle;
  }

  // `article` names the kind that is expected in messages: "a model", "an appliance".
  template <typename Kind>
  Result<std::shared_ptr<Kind>> Find(uint64_t handle, const char* article) const {
    const std::lock_guard lock(mutex_);
    LODESTONE_ASSIGN_OR_RETURN(const auto found, Locate<Kind>(handle, article));
    return std::get<std::shared_ptr<Kind>>(found->second);
  }

  // The same, and forgets it.
  template <typename Kind>
  Result<std::shared_ptr<Kind>> Remove(uint64_t handle, const char* article) {
    const std::lock_guard lock(mutex_);
    LODESTONE_ASSIGN_OR_RETURN(const auto found, Locate<Kind>(handle, article));
    std::shared_ptr<Kind> object = std::get<std::shared_ptr<Kind>>(found->second);
    objects_.erase(found);
    return object;
  }

 private:
  using Objects = std::map<uint64_t, std::variant<std::shared_ptr<Kinds>...>>;
  // No address of a process: bits 48 to 63 of those are equal on every machine of 64 bits that Linux runs on.
  static constexpr uint64_t kFirst = uint64_t{0x10DE} << 48;

  template <typename Kind>
  Result<typename Objects::const_iterator> Locate(uint64_t handle, const char* article) const {
    const std::string expected = std::string("expected ") + article + ", found ";
    if (handle == 0) return Invalid(expected + "NULL");
    const auto found = objects_.find(handle);
    if (found == objects_.end()) {
      const bool closed = handle >= kFirst && handle - kFirst < next_;
      return Invalid(expected + (closed ? "a handle that was closed" : "no handle of this library"));
    }
    if (!std::holds_alternative<std::shared_ptr<Kind>>(found->second)) {
      return Invalid(expected + "a handle of another kind");
    }
    return found;
  }

  mutable std::mutex mutex_;
  Objects objects_;
  uint64_t next_ = 0;
};

}  // namespace lodestone
